#include "inference_job.h"

#include "inference/inference_model.h"
#include "kernel_caches.h"
#include "store/agreement.h"

namespace moesaic::worker {

int run_inference(const std::string& memory_hint, const std::function<int(const RankJob&)>& work) {
  bound_kernel_caches();
  const RankJob job({.memory_hint = memory_hint});
  return job.run([&] { return work(job); });
}

RankPlace inference_place(const RankJob& job, const InferenceArguments& arguments) {
  RankJob::PlaceOptions options;
  options.device = arguments.device;
  options.comm.timeout_s = arguments.timeout_s;
  options.comm.setting = "--timeout";
  options.threads = arguments.threads;
  options.run_dir = arguments.job_folder;
  return job.place(options);
}

std::string work_rows(const RankContext& context, const InferenceArguments& arguments) {
  const bool says = !arguments.job_folder.empty() && context.is_chief();
  return says ? arguments.job_folder + "/metrics.jsonl" : "";
}

RankContext model_context(const RankPlace& place, const ModelArguments& arguments) {
  const arch::Options arch = model_architecture(place.world, arguments.model, place.log);
  Plan plan;
  agreed(place.world, "plan",
         [&] { plan = inference_plan(place.world.size(), arguments.expert, arch.num_experts); });
  return RankContext::make(place.world, plan, place.log, place.device);
}

}  // namespace moesaic::worker
