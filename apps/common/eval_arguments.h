// The options of `eval`, of the launcher and of the worker.
#pragma once

#include <cstdint>

#include "common/image_arguments.h"
#include "common/inference_arguments.h"

namespace moesaic {

struct EvalArguments {
  InferenceArguments inference;
  // perplexity | multiple_choice | generation | classification | cases | images
  std::string task = "perplexity";
  std::string data, output;
  std::string predictions;           // of no model: in the place of inference and data
  std::vector<std::string> compare;  // before and after, in the place of inference.model
  std::string format = "auto";       // auto | text | jsonl | tokens
  std::int64_t limit = 0, context = 0, stride = 0, batch_tokens = 1024;
  bool chat = false;
  std::string system;  // of a chat; "" = none of its own
  std::int64_t max_new_tokens = 128, together = 16;
  std::vector<std::string> stops;
  std::vector<std::string> metrics;  // none: all of the task
  std::int64_t bootstrap = 1000;
  std::uint64_t seed = 0;  // of the bootstrap
  ImageArguments images;
  bool json = false;
};

/// `arguments` must outlive the parse.
void add_eval_arguments(CLI::App& verb, EvalArguments& arguments);
/// Error(kUsage) when --model (of a comparison: nothing), --data or --labels is missing, or
/// --predictions does not fit the task.
void require_complete(const EvalArguments& arguments);
/// As the worker reads them.
std::vector<std::string> to_argv(const EvalArguments& arguments);
/// Warns of options that change nothing.
void check_effects(const EvalArguments& arguments, int ranks);

}  // namespace moesaic
