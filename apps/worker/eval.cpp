#include <cstdio>
#include <filesystem>
#include <memory>

#include "common/eval_arguments.h"
#include "core/clock.h"
#include "core/json_text.h"
#include "inference/answer_file.h"
#include "inference/answer_run.h"
#include "inference/eval_run.h"
#include "inference/image_eval.h"
#include "inference_job.h"
#include "metrics/comparison.h"
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
metrics::Measurement judged_answers(const RankContext& context, InferenceModel& model,
                                    const EvalArguments& a) {
  return run_answers(context, model,
                     {.data = a.data,
                      .limit = a.limit,
                      .output = a.output,
                      .chat = a.chat,
                      .system = a.system,
                      .max_new_tokens = a.max_new_tokens,
                      .together = a.together,
                      .stops = a.stops,
                      .scores = wanted_scores(a)});
}

// What the model makes of sequences.
metrics::Measurement scored_sequences(const RankContext& context, InferenceModel& model,
                                      const EvalArguments& a) {
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
metrics::Measurement classified_images(const RankContext& context, const EvalArguments& a,
                                       const std::string& model) {
  const InferenceArguments& i = a.inference;
  return {.result = evaluate_images(context, {.model = model,
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
                                              .batch = a.batch_tokens})};
}

// What a model of tokens makes of the data.
metrics::Measurement evaluated_text(const RankContext& context, const EvalArguments& a,
                                    const std::string& path) {
  const InferenceArguments& i = a.inference;
  const bool answers = a.task == "generation" || a.task == "cases";
  InferenceModel model(context, {.path = path,
                                 .adapter = i.adapter,
                                 .base = i.base,
                                 .precision = i.precision,
                                 .allow_nonfinite = i.allow_nonfinite,
                                 .file_weights = keeps_file_weights(i),
                                 .many_passes = answers,
                                 .work_rows = work_rows(context, i)});
  return answers ? judged_answers(context, model, a) : scored_sequences(context, model, a);
}

// Of the model at `path`; the chief's.
metrics::Measurement measured(const EvalArguments& a, const std::string& path,
                              const RankPlace& place) {
  ModelArguments of = a.inference;
  of.model = path;
  const RankContext context = model_context(place, of);
  const Stopwatch watch;
  metrics::Measurement measurement =
      a.task == "images" ? classified_images(context, a, path) : evaluated_text(context, a, path);
  context.log.info("{} in {:.1f} s on {} ranks", a.task, watch.seconds(), context.world.size());
  return measurement;
}

void report_change(const metrics::Measurement& before, const metrics::Measurement& after,
                   const EvalArguments& a) {
  const std::string name = std::filesystem::path(a.data).stem().string();
  const Json comparison =
      metrics::compare_measurements(before, after, wanted_scores(a).bootstrap, name);
  const std::string text =
      a.json ? json_text(comparison, 2) + "\n" : metrics::comparison_markdown(comparison);
  std::fputs(text.c_str(), stdout);
}

int eval(const EvalArguments& a, const RankJob& job) {
  const RankPlace place = inference_place(job, a.inference);
  const bool compares = !a.compare.empty();
  const metrics::Measurement first =
      measured(a, compares ? a.compare.at(0) : a.inference.model, place);
  metrics::Measurement second;
  if (compares) second = measured(a, a.compare.at(1), place);
  if (!place.world.is_chief()) return 0;
  if (compares)
    report_change(first, second, a);
  else
    report(first.result, a);
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
