#include <cstdio>
#include <memory>

#include "common/eval_arguments.h"
#include "core/clock.h"
#include "core/json_text.h"
#include "inference/eval_run.h"
#include "inference_job.h"
#include "store/agreement.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

// As people read it: six digits tell what there is to tell; --json has all of them.
std::string shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? format("{:.6g}", value.get<double>()) : json_text(value);
}

void report(const Json& result, const EvalArguments& a) {
  std::string text = a.json ? json_text(result, 2) + "\n" : "";
  if (!a.json) {
    for (const auto& [key, value] : result.items()) text += format("{:16}{}\n", key, shown(value));
  }
  std::fputs(text.c_str(), stdout);
}

int eval(const EvalArguments& a, const RankJob& job) {
  const InferenceArguments& i = a.inference;
  const RankContext context = inference_context(job, i);
  InferenceModel model(context, {.path = i.model,
                                 .adapter = i.adapter,
                                 .base = i.base,
                                 .precision = i.precision,
                                 .allow_nonfinite = i.allow_nonfinite});
  std::unique_ptr<EvalTask> task;
  agreed(context.world, "eval: task", [&] {
    if (!context.is_chief()) return;
    task = make_eval_task(a.task,
                          {.data = a.data,
                           .format = a.format,
                           .limit = a.limit,
                           .context = a.context,
                           .stride = a.stride,
                           .output = a.output},
                          model, context.log);
  });
  const Stopwatch watch;
  const Json result = run_eval(context, model, task.get(), a.batch_tokens);
  context.log.info("{} in {:.1f} s on {} ranks", a.task, watch.seconds(), context.world.size());
  if (context.is_chief()) report(result, a);
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App* verb =
      app.add_subcommand("eval", "Measures a model on data, as one rank of an MPI job");
  add_eval_arguments(*verb, *arguments);
  verb->callback([arguments, &exit_code] {
    exit_code = run_inference("lower --batch-tokens, use more ranks or a smaller --context",
                              [&](const RankJob& job) { return eval(*arguments, job); });
  });
}

}  // namespace moesaic::worker
