#include <cstdio>
#include <memory>

#include "common/eval_arguments.h"
#include "core/clock.h"
#include "core/json_text.h"
#include "inference/answer_file.h"
#include "inference/answer_run.h"
#include "inference/eval_run.h"
#include "inference/image_eval.h"
#include "inference_job.h"
#include "store/agreement.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

// A value as people read it: six digits tell what there is to tell; --json has all of them.
std::string shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? format("{:.6g}", value.get<double>()) : json_text(value);
}

std::string result_text(const Json& result) {
  if (result.contains("metrics")) return metrics::evaluation_text(result);
  std::string text;
  for (const auto& [key, value] : result.items()) text += format("{:16}{}\n", key, shown(value));
  return text;
}

void report(const Json& result, const EvalArguments& a) {
  std::fputs((a.json ? json_text(result, 2) + "\n" : result_text(result)).c_str(), stdout);
}

metrics::Evaluation::Options wanted_scores(const EvalArguments& a) {
  return {
      .task = a.task, .metrics = a.metrics, .bootstrap = {.samples = a.bootstrap, .seed = a.seed}};
}

// What the model writes, judged.
Json judged_answers(const RankContext& context, InferenceModel& model, const EvalArguments& a) {
  return run_answers(context, model,
                     {.data = a.data,
                      .limit = a.limit,
                      .output = a.output,
                      .chat = a.chat,
                      .system = a.system,
                      .max_new_tokens = a.max_new_tokens,
                      .stops = a.stops,
                      .scores = wanted_scores(a)});
}

// What the model makes of sequences.
Json scored_sequences(const RankContext& context, InferenceModel& model, const EvalArguments& a) {
  std::unique_ptr<EvalTask> task;
  agreed(context.world, "eval: task", [&] {
    if (!context.is_chief()) return;
    task = make_eval_task(a.task,
                          {.data = a.data,
                           .format = a.format,
                           .limit = a.limit,
                           .context = a.context,
                           .stride = a.stride,
                           .output = a.output,
                           .scores = wanted_scores(a)},
                          model, context.log);
  });
  return run_eval(context, model, task.get(), a.batch_tokens);
}

// What a classifier makes of images.
Json classified_images(const RankContext& context, const EvalArguments& a) {
  const InferenceArguments& i = a.inference;
  return evaluate_images(context, {.model = i.model,
                                   .adapter = i.adapter,
                                   .base = i.base,
                                   .precision = i.precision,
                                   .allow_nonfinite = i.allow_nonfinite,
                                   .source = {.path = a.data,
                                              .format = "idx",
                                              .labels = a.images.labels,
                                              .classes = a.images.classes,
                                              .map = a.images.map,
                                              .permutation = a.images.permutation},
                                   .mask_classes = a.images.mask_classes,
                                   .batch = a.batch_tokens});
}

// What a model of tokens makes of the data.
Json evaluated_text(const RankContext& context, const EvalArguments& a) {
  const InferenceArguments& i = a.inference;
  const bool answers = a.task == "generation" || a.task == "cases";
  InferenceModel model(context, {.path = i.model,
                                 .adapter = i.adapter,
                                 .base = i.base,
                                 .precision = i.precision,
                                 .allow_nonfinite = i.allow_nonfinite,
                                 .many_passes = answers});
  return answers ? judged_answers(context, model, a) : scored_sequences(context, model, a);
}

int eval(const EvalArguments& a, const RankJob& job) {
  const RankContext context = inference_context(job, a.inference);
  const Stopwatch watch;
  const Json result =
      a.task == "images" ? classified_images(context, a) : evaluated_text(context, a);
  context.log.info("{} in {:.1f} s on {} ranks", a.task, watch.seconds(), context.world.size());
  if (context.is_chief()) report(result, a);
  return 0;
}

// Answers that are there already: no ranks, no model.
void judge(const EvalArguments& a) {
  report(judge_predictions(
             {.path = a.predictions, .task = a.task, .predictions = true, .limit = a.limit},
             wanted_scores(a)),
         a);
}

}  // namespace

void add_eval(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App* verb =
      app.add_subcommand("eval", "Measures a model on data, as one rank of an MPI job");
  add_eval_arguments(*verb, *arguments);
  verb->callback([arguments, &exit_code] {
    const EvalArguments& a = *arguments;
    require_complete(a);
    if (!a.predictions.empty()) return judge(a);
    exit_code = run_inference("lower --batch-tokens, use more ranks or a smaller --context",
                              [&](const RankJob& job) { return eval(a, job); });
  });
}

}  // namespace moesaic::worker
