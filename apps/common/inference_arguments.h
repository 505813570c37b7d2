// The options of every verb that opens a model to compute with: read by the launcher, which passes
// them on, and by the worker.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace moesaic {

/// Which model, and how it is spread.
struct ModelArguments {
  std::string model;
  std::string adapter;                   // "" = the model alone
  std::optional<std::string> base = {};  // of a run with adapters, where it has moved
  int expert = 0;                        // size of an expert group, 0 = the largest that fits
};

struct InferenceArguments : ModelArguments {
  std::string precision = "float32";  // float64 | float32 | bfloat16
  std::string weights = "numbers";    // of quantised files: numbers | file
  bool allow_nonfinite = false;
  std::string device = "cpu";  // cpu | cuda
  double timeout_s = 600;      // of one collective
  int threads = 0;             // of a rank; 0 = all cores of the machine over its ranks
  std::string job_folder;      // where the ranks say how far they are; "" = nowhere
};

/// What is kept of a quantised file: see --weights.
inline bool keeps_file_weights(const InferenceArguments& arguments) {
  return arguments.weights == "file";
}

/// `arguments` must outlive the parse.
void add_model_arguments(CLI::App& verb, ModelArguments& arguments);
void add_inference_arguments(CLI::App& verb, InferenceArguments& arguments);
/// As the worker reads them.
void append_arguments(std::vector<std::string>& argv, const ModelArguments& arguments);
void append_arguments(std::vector<std::string>& argv, const InferenceArguments& arguments);
/// Warns of options that change nothing.
void check_effects(const InferenceArguments& arguments, int ranks);

}  // namespace moesaic
