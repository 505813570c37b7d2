// The options of `eval`, of the launcher and of the worker.
#pragma once

#include <cstdint>

#include "common/inference_arguments.h"

namespace moesaic {

struct EvalArguments {
  InferenceArguments inference;
  std::string task = "perplexity";  // perplexity | multiple_choice
  std::string data, output;
  std::string format = "auto";  // auto | text | jsonl | tokens
  std::int64_t limit = 0, context = 0, stride = 0, batch_tokens = 1024;
  bool json = false;
};

/// `arguments` must outlive the parse.
void add_eval_arguments(CLI::App& verb, EvalArguments& arguments);
/// As the worker reads them.
std::vector<std::string> to_argv(const EvalArguments& arguments);
/// Warns of options that change nothing.
void check_effects(const EvalArguments& arguments, int ranks);

}  // namespace moesaic
