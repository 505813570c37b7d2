#include "common/generate_arguments.h"

#include <algorithm>

#include "common/without_effect.h"
#include "core/format.h"

namespace moesaic {

void add_generate_arguments(CLI::App& verb, GenerateArguments& arguments) {
  GenerateArguments& a = arguments;
  add_inference_arguments(verb, a.inference);
  CLI::Option* prompt =
      verb.add_option("--prompt", a.prompt, "The text to continue (default: all of stdin)");
  CLI::Option* input =
      verb.add_option(
              "--input", a.input,
              "JSONL of prompts, {\"prompt\": text}, {\"text\": text} or {\"ids\": [...]} a "
              "line: each is continued as if it were alone, many at the same time; one "
              "object a line comes out, in their order")
          ->excludes(prompt);
  verb.add_option(
          "--output", a.output,
          "With --input: the file to write; it appears when it is complete (default: stdout)")
      ->needs(input);
  verb.add_option("--together", a.together,
                  "With --input: texts that are made at the same time; each keeps its cache")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20U))
      ->capture_default_str();
  CLI::Option* chat =
      verb.add_flag("--chat", a.chat, "The prompt is a user's message: apply the chat template");
  verb.add_option("--system", a.system, "With --chat: the system message")->needs(chat);
  verb.add_option("--max-new-tokens", a.max_new_tokens, "Most tokens to add")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10'000'000}))
      ->capture_default_str();
  verb.add_option("--temperature", a.temperature, "0 = always the most probable token")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  verb.add_option("--top-k", a.top_k, "Sample from the k most probable tokens; 0 = all")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40U))
      ->capture_default_str();
  verb.add_option("--top-p", a.top_p, "Sample from the fewest tokens with this probability")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb.add_option("--min-p", a.min_p,
                  "Sample from tokens of at least this share of the highest probability")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb.add_option("--seed", a.seed, "Of the draws")->capture_default_str();
  verb.add_option("--stop", a.stops, "A string that ends the text; may be given several times")
      ->allow_extra_args(false);
  verb.add_flag("--speculate", a.speculate,
                "Draft tokens with the model's layer for multi-token prediction: the same text in "
                "fewer passes")
      ->excludes(input);
  verb.add_flag("--json", a.json, "One object: text, ids, finish_reason and times");
}

std::vector<std::string> to_argv(const GenerateArguments& arguments) {
  const GenerateArguments& a = arguments;
  std::vector<std::string> argv;
  append_arguments(argv, a.inference);
  if (a.prompt && a.prompt->empty()) {
    argv.insert(argv.end(), {"--prompt", ""});  // "--prompt=" would take the next argument
  } else if (a.prompt) {
    argv.push_back("--prompt=" + *a.prompt);
  }
  if (!a.input.empty()) argv.push_back("--input=" + a.input);
  if (!a.output.empty()) argv.push_back("--output=" + a.output);
  if (!a.input.empty()) argv.push_back(format("--together={}", a.together));
  if (a.chat) argv.emplace_back("--chat");
  if (!a.system.empty()) argv.push_back("--system=" + a.system);
  argv.push_back(format("--max-new-tokens={}", a.max_new_tokens));
  argv.push_back(format("--temperature={}", a.temperature));
  argv.push_back(format("--top-k={}", a.top_k));
  argv.push_back(format("--top-p={}", a.top_p));
  argv.push_back(format("--min-p={}", a.min_p));
  argv.push_back(format("--seed={}", a.seed));
  for (const std::string& stop : a.stops) {
    if (!stop.empty()) argv.push_back("--stop=" + stop);  // an empty one stops nothing
  }
  if (a.speculate) argv.emplace_back("--speculate");
  if (a.json) argv.emplace_back("--json");
  return argv;
}

void check_effects(const GenerateArguments& arguments, int ranks) {
  const GenerateArguments& a = arguments;
  const GenerateArguments defaults;
  check_effects(a.inference, ranks);
  const bool greedy = a.temperature == 0;
  const std::string reason = "--temperature is 0: always the most probable token is taken";
  warn_without_effect(greedy && a.top_k != defaults.top_k, "--top-k", reason);
  warn_without_effect(greedy && a.top_p != defaults.top_p, "--top-p", reason);
  warn_without_effect(greedy && a.min_p != defaults.min_p, "--min-p", reason);
  warn_without_effect(greedy && a.seed != defaults.seed, "--seed", reason);
  warn_without_effect(a.input.empty() && a.together != defaults.together, "--together",
                      "there is one prompt, and no --input with many");
  warn_without_effect(!a.input.empty() && a.json, "--json", "the texts of --input are JSON anyway");
  const bool empty = std::find(a.stops.begin(), a.stops.end(), "") != a.stops.end();
  warn_without_effect(empty, "--stop", "an empty string ends no text");
}

}  // namespace moesaic
