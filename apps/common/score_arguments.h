// The options of `score`, of the launcher and of the worker.
#pragma once

#include "common/inference_arguments.h"

namespace moesaic {

struct ScoreArguments {
  InferenceArguments inference;
  std::string input;   // "" = standard input
  std::string output;  // "" = standard output
  std::int64_t batch_tokens = 1024;
  bool json = false;  // a summary on stdout, where --output leaves it free
};

/// `arguments` must outlive the parse.
void add_score_arguments(CLI::App& verb, ScoreArguments& arguments);
/// As the worker reads them.
std::vector<std::string> to_argv(const ScoreArguments& arguments);
/// Warns of options that change nothing.
void check_effects(const ScoreArguments& arguments, int ranks);

}  // namespace moesaic
