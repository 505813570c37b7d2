// The options of `generate`, of the launcher and of the worker.
#pragma once

#include <cstdint>
#include <optional>

#include "common/inference_arguments.h"

namespace moesaic {

struct GenerateArguments {
  InferenceArguments inference;
  std::optional<std::string> prompt;  // none: standard input, where there is no file of prompts
  std::string input;                  // JSONL of prompts; "" = one prompt
  std::string output;                 // JSONL of their texts; "" = standard output
  std::int64_t together = 16;         // of them at a time
  bool chat = false;
  std::string system;  // of a chat; "" = none of its own
  std::int64_t max_new_tokens = 128;
  double temperature = 0, top_p = 1, min_p = 0;
  std::int64_t top_k = 0;
  std::uint64_t seed = 0;
  std::vector<std::string> stops;
  bool speculate = false;
  bool json = false;
};

/// `arguments` must outlive the parse.
void add_generate_arguments(CLI::App& verb, GenerateArguments& arguments);
/// As the worker reads them.
std::vector<std::string> to_argv(const GenerateArguments& arguments);
/// Warns of options that change nothing.
void check_effects(const GenerateArguments& arguments, int ranks);

}  // namespace moesaic
