#include "common/score_arguments.h"

#include "common/without_effect.h"
#include "core/format.h"

namespace moesaic {

void add_score_arguments(CLI::App& verb, ScoreArguments& arguments) {
  add_inference_arguments(verb, arguments.inference);
  verb.add_option("--input", arguments.input,
                  "JSONL file, {\"ids\": [...]} or {\"text\": \"...\"} a line (default: stdin)");
  verb.add_option("--output", arguments.output,
                  "JSONL file to write; it appears when it is complete (default: stdout)");
  verb.add_option("--batch-tokens", arguments.batch_tokens, "Token ids of one forward pass")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24U))
      ->capture_default_str();
  verb.add_flag("--json", arguments.json,
                "With --output: a summary on stdout (without it, stdout is JSONL anyway)");
}

std::vector<std::string> to_argv(const ScoreArguments& arguments) {
  std::vector<std::string> argv;
  append_arguments(argv, arguments.inference);
  if (!arguments.input.empty()) argv.push_back("--input=" + arguments.input);
  if (!arguments.output.empty()) argv.push_back("--output=" + arguments.output);
  argv.push_back(format("--batch-tokens={}", arguments.batch_tokens));
  if (arguments.json) argv.emplace_back("--json");
  return argv;
}

void check_effects(const ScoreArguments& arguments, int ranks) {
  check_effects(arguments.inference, ranks);
  warn_without_effect(arguments.json && arguments.output.empty(), "--json",
                      "without --output the scores themselves are on standard output");
}

}  // namespace moesaic
