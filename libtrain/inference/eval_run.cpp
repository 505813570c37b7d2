#include "inference/eval_run.h"

#include "core/error.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

constexpr std::int64_t kBatchesOfEvalWindow =
    32;                                      // enough for many ranks and for lengths to be sorted
constexpr std::int64_t kMostContext = 2048;  // unless asked for

}  // namespace

metrics::Measurement run_eval(const RankContext& context, InferenceModel& model, EvalTask* task,
                              std::int64_t batch_tokens) {
  Scorer scorer(context, model, {.batch_tokens = batch_tokens});
  while (true) {
    SequenceWindow window;
    agreed(context.world, "eval: data", [&] {
      if (task != nullptr) task->ask(window, kBatchesOfEvalWindow * batch_tokens);
    });
    window = broadcast(context.world, window);
    if (window.sequences() == 0) break;
    const std::vector<double> logprobs = scorer.score(window);
    agreed(context.world, "eval: answers", [&] {
      if (task != nullptr) task->take(window, logprobs);
    });
  }
  metrics::Measurement measurement;
  agreed(context.world, "eval: result", [&] {
    if (task != nullptr) measurement = task->measurement();
  });
  return measurement;
}

std::unique_ptr<EvalTask> make_eval_task(const std::string& name, EvalTask::Options options,
                                         const InferenceModel& model, const Log& log) {
  const bool texts = name == "perplexity";
  MOESAIC_CHECK(texts || options.format == "auto", ErrorKind::kUsage,
                "--format {} has no meaning with --task {}, which reads JSONL", options.format,
                name);
  const std::int64_t positions = model.arch().max_position_embeddings;
  if (options.context == 0) options.context = std::min(positions, kMostContext);
  if (options.stride == 0) options.stride = std::max<std::int64_t>(1, options.context / 2);
  EvalTask::Model brings{model.files().tokenizer(), model.arch().vocab_size};
  if (texts) return perplexity_task(options, std::move(brings), log);
  return name == "classification" ? label_task(options, std::move(brings))
                                  : choice_task(options, std::move(brings));
}

}  // namespace moesaic
