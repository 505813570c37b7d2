#include "common/eval_arguments.h"

#include <algorithm>

#include "common/without_effect.h"
#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 30U;

bool is_one_of(const std::string& task, std::initializer_list<const char*> tasks) {
  return std::find(tasks.begin(), tasks.end(), task) != tasks.end();
}
// Whose answers are judged by metrics.
bool is_judged(const std::string& task) {
  return is_one_of(task, {"generation", "classification", "cases"});
}
// Whose answers are texts that the model writes.
bool is_generated(const std::string& task) { return is_one_of(task, {"generation", "cases"}); }

void add_answer_options(CLI::App& verb, EvalArguments& a) {
  CLI::Option* chat = verb.add_flag(
      "--chat", a.chat, "generation, cases: a prompt is a user's message: apply the chat template");
  verb.add_option("--system", a.system, "With --chat: the system message")->needs(chat);
  verb.add_option("--max-new-tokens", a.max_new_tokens,
                  "generation, cases: most tokens of an answer")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10'000'000}))
      ->capture_default_str();
  verb.add_option("--together", a.together,
                  "generation, cases: answers that are made at the same time; each keeps its cache")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20U))
      ->capture_default_str();
  verb.add_option("--stop", a.stops,
                  "generation, cases: a string that ends an answer; may be given several times")
      ->allow_extra_args(false);
}

void add_compare_option(CLI::App& verb, EvalArguments& a) {
  CLI::Option* compare = verb.add_option(
      "--compare", a.compare,
      "BEFORE AFTER: with --data two models or runs, each measured in the same way; without it two "
      "results of --json, or two folders of them with the same names; one table in Markdown, or "
      "with --json as JSON");
  compare->expected(2);
  for (const char* other : {"--model", "--adapter", "--base", "--predictions", "--output"})
    compare->excludes(other);
}

void add_metric_options(CLI::App& verb, EvalArguments& a) {
  verb.add_option("--predictions", a.predictions,
                  "JSONL with answers that are there already, in the place of --model and --data: "
                  "{\"prediction\", \"references\"}, {\"predicted\", \"answer\"} for labels, "
                  "{\"prediction\", \"required\"} for cases")
      ->excludes("--model")
      ->excludes("--data");
  verb.add_option(
          "--metrics", a.metrics,
          "Of generation: exact_match,bleu,rouge_l,chrf; of classification: "
          "accuracy,precision,recall,f1; of cases: case_accuracy (default: all of the task)")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb.add_option("--bootstrap", a.bootstrap,
                  "Sets of items that are drawn for the intervals of 95 %; 0 = no intervals")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000}))
      ->capture_default_str();
  verb.add_option("--seed", a.seed, "Of these draws")->capture_default_str();
}

}  // namespace

void add_eval_arguments(CLI::App& verb, EvalArguments& arguments) {
  EvalArguments& a = arguments;
  add_inference_arguments(verb, a.inference);
  verb.get_option("--model")->required(false);  // require_complete() says when it is
  const std::string tasks =
      "perplexity | multiple_choice | generation | classification | cases | images";
  verb.add_option("--task", a.task, tasks)
      ->check(CLI::IsMember(
          {"perplexity", "multiple_choice", "generation", "classification", "cases", "images"}))
      ->capture_default_str();
  verb.add_option("--data", a.data,
                  "perplexity: a text, a token file, or JSONL with {\"text\"} or {\"ids\"}, a "
                  "document a line; multiple_choice, classification: JSONL with {\"context\", "
                  "\"choices\", \"answer\"}; generation: JSONL with {\"prompt\", "
                  "\"references\"} or \"reference\"; cases: JSONL with {\"prompt\", "
                  "\"required\"}; images: IDX file, plain or .gz");
  verb.add_option("--format", a.format,
                  "perplexity: auto (by what the file holds) | text | jsonl | tokens")
      ->check(CLI::IsMember({"auto", "text", "jsonl", "tokens"}))
      ->capture_default_str();
  verb.add_option("--limit", a.limit, "Documents or items to use; 0 = all")
      ->check(CLI::Range(std::int64_t{0}, kMost));
  verb.add_option("--context", a.context,
                  "Most tokens of a sequence (default: the model's positions, at most 2048)")
      ->check(CLI::Range(std::int64_t{2}, kMost));
  verb.add_option("--stride", a.stride,
                  "perplexity: tokens from one sequence to the next (default: half of the context)")
      ->check(CLI::Range(std::int64_t{1}, kMost));
  verb.add_option("--output", a.output,
                  "JSONL, an item a line: log-likelihoods and picks of multiple_choice, else "
                  "answers as --predictions reads them");
  verb.add_option("--batch-tokens", a.batch_tokens, "Token ids, or images, of one forward pass")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24U))
      ->capture_default_str();
  add_answer_options(verb, a);
  add_metric_options(verb, a);
  add_compare_option(verb, a);
  add_image_arguments(verb, a.images);
  verb.add_flag("--json", a.json, "The result as one JSON object");
}

void require_complete(const EvalArguments& arguments) {
  const EvalArguments& a = arguments;
  MOESAIC_CHECK(a.predictions.empty() || is_judged(a.task), ErrorKind::kUsage,
                "--predictions has no meaning with --task {}, which needs a model; it is for "
                "generation, classification and cases",
                a.task);
  if (!a.predictions.empty()) return;
  const std::string without = is_judged(a.task) ? " (or --predictions FILE)" : "";
  MOESAIC_CHECK(!a.inference.model.empty() || !a.compare.empty(), ErrorKind::kUsage,
                "--model is required{}", without);
  MOESAIC_CHECK(!a.data.empty(), ErrorKind::kUsage, "--data is required{}", without);
  MOESAIC_CHECK(a.task != "images" || !a.images.labels.empty(), ErrorKind::kUsage,
                "--labels is required with --task images");
}

std::vector<std::string> to_argv(const EvalArguments& arguments) {
  const EvalArguments& a = arguments;
  const EvalArguments defaults;
  std::vector<std::string> argv;
  if (a.predictions.empty()) {
    append_arguments(argv, a.inference);
    argv.push_back("--data=" + a.data);
  } else {
    argv.push_back("--predictions=" + a.predictions);
  }
  if (!a.compare.empty()) argv.insert(argv.end(), {"--compare", a.compare[0], a.compare[1]});
  argv.push_back("--task=" + a.task);
  if (a.format != defaults.format) argv.push_back("--format=" + a.format);
  if (a.limit > 0) argv.push_back(format("--limit={}", a.limit));
  if (a.context > 0) argv.push_back(format("--context={}", a.context));
  if (a.stride > 0) argv.push_back(format("--stride={}", a.stride));
  if (!a.output.empty()) argv.push_back("--output=" + a.output);
  argv.push_back(format("--batch-tokens={}", a.batch_tokens));
  if (a.chat) argv.emplace_back("--chat");
  if (!a.system.empty()) argv.push_back("--system=" + a.system);
  argv.push_back(format("--max-new-tokens={}", a.max_new_tokens));
  argv.push_back(format("--together={}", a.together));
  for (const std::string& stop : a.stops) {
    if (!stop.empty()) argv.push_back("--stop=" + stop);  // an empty one stops nothing
  }
  for (const std::string& metric : a.metrics) argv.push_back("--metrics=" + metric);
  argv.push_back(format("--bootstrap={}", a.bootstrap));
  argv.push_back(format("--seed={}", a.seed));
  append_arguments(argv, a.images);
  if (a.json) argv.emplace_back("--json");
  return argv;
}

void check_effects(const EvalArguments& arguments, int ranks) {
  const EvalArguments& a = arguments;
  const EvalArguments defaults;
  if (a.predictions.empty()) check_effects(a.inference, ranks);
  const bool runs = a.predictions.empty(), generates = runs && is_generated(a.task);
  const bool images = a.task == "images";
  const bool sequences = runs && !generates, judged = is_judged(a.task);
  const std::string reason = runs ? "--task is " + a.task : "no model runs";
  const auto warn = [&](bool used, bool given, const char* option) {
    warn_without_effect(!used && given, option, reason);
  };
  warn(runs && a.task == "perplexity", a.stride > 0, "--stride");
  warn(runs && a.task != "perplexity" && !images, !a.output.empty(), "--output");
  warn(runs, ranks > 1, "-n");
  warn(sequences && !images, a.context > 0, "--context");
  warn(!images, a.limit > 0, "--limit");
  warn(runs && !images, keeps_file_weights(a.inference), "--weights");
  warn(images, a.images.any(), "--labels, --classes, --map, --permutation and --mask-classes");
  warn(sequences, a.batch_tokens != defaults.batch_tokens, "--batch-tokens");
  warn(generates, a.chat, "--chat");
  warn(generates, a.max_new_tokens != defaults.max_new_tokens, "--max-new-tokens");
  warn(generates, a.together != defaults.together, "--together");
  warn(generates, !a.stops.empty(), "--stop");
  warn(judged, !a.metrics.empty(), "--metrics");
  const bool drawn = judged || !a.compare.empty();
  warn(drawn, a.bootstrap != defaults.bootstrap, "--bootstrap");
  warn(drawn, a.seed != defaults.seed, "--seed");
}

}  // namespace moesaic
