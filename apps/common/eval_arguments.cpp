#include "common/eval_arguments.h"

#include "common/without_effect.h"
#include "core/format.h"

namespace moesaic {

void add_eval_arguments(CLI::App& verb, EvalArguments& arguments) {
  EvalArguments& a = arguments;
  constexpr std::int64_t kMost = std::int64_t{1} << 30U;
  add_inference_arguments(verb, a.inference);
  verb.add_option("--task", a.task, "perplexity | multiple_choice")
      ->check(CLI::IsMember({"perplexity", "multiple_choice"}))
      ->capture_default_str();
  verb.add_option("--data", a.data,
                  "perplexity: a text, a token file, or JSONL with {\"text\"} or {\"ids\"}, a "
                  "document a line; "
                  "multiple_choice: JSONL with {\"context\", \"choices\", \"answer\"}")
      ->required();
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
                  "multiple_choice: JSONL with log-likelihoods and picks, an item a line");
  verb.add_option("--batch-tokens", a.batch_tokens, "Token ids of one forward pass")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24U))
      ->capture_default_str();
  verb.add_flag("--json", a.json, "The result as one JSON object");
}

std::vector<std::string> to_argv(const EvalArguments& arguments) {
  const EvalArguments& a = arguments;
  std::vector<std::string> argv;
  append_arguments(argv, a.inference);
  argv.push_back("--task=" + a.task);
  argv.push_back("--data=" + a.data);
  if (a.format != "auto") argv.push_back("--format=" + a.format);
  if (a.limit > 0) argv.push_back(format("--limit={}", a.limit));
  if (a.context > 0) argv.push_back(format("--context={}", a.context));
  if (a.stride > 0) argv.push_back(format("--stride={}", a.stride));
  if (!a.output.empty()) argv.push_back("--output=" + a.output);
  argv.push_back(format("--batch-tokens={}", a.batch_tokens));
  if (a.json) argv.emplace_back("--json");
  return argv;
}

void check_effects(const EvalArguments& arguments, int ranks) {
  const EvalArguments& a = arguments;
  check_effects(a.inference, ranks);
  const bool choices = a.task == "multiple_choice";
  const std::string reason = "--task is " + a.task;
  warn_without_effect(choices && a.stride > 0, "--stride", reason);
  warn_without_effect(!choices && !a.output.empty(), "--output", reason);
}

}  // namespace moesaic
