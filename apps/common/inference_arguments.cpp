#include "common/inference_arguments.h"

#include "common/without_effect.h"
#include "core/format.h"

namespace moesaic {

void add_model_arguments(CLI::App& verb, ModelArguments& arguments) {
  verb.add_option("--model", arguments.model,
                  "Hugging Face folder, checkpoint folder, or run folder (its newest checkpoint)")
      ->required();
  verb.add_option("--adapter", arguments.adapter,
                  "Adapter of the model: PEFT folder, or run with adapters");
  verb.add_option("--base", arguments.base,
                  "Where the model now is that a run with adapters began from (default: where it "
                  "was)");
  verb.add_option("--expert", arguments.expert,
                  "Ranks of an expert group (default: the largest number that divides ranks and "
                  "experts)")
      ->check(CLI::Range(1, 1'000'000));
}

void add_inference_arguments(CLI::App& verb, InferenceArguments& arguments) {
  add_model_arguments(verb, arguments);
  verb.add_option("--precision", arguments.precision, "float64 | float32 | bfloat16")
      ->check(CLI::IsMember({"float64", "float32", "bfloat16"}))
      ->capture_default_str();
  verb.add_option("--weights", arguments.weights,
                  "numbers: quantised weights become float32 when the model is opened; file: those "
                  "of a GGUF file stay in the types of the file (less memory, faster generation)")
      ->check(CLI::IsMember({"numbers", "file"}))
      ->capture_default_str();
  verb.add_flag("--allow-nonfinite", arguments.allow_nonfinite,
                "Accept weights that are NaN or infinite");
  verb.add_option("--device", arguments.device, "cpu | cuda")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  verb.add_option("--threads", arguments.threads,
                  "Threads of a rank (default: the cores of the machine divided by its ranks)")
      ->check(CLI::Range(1, 4096));
  verb.add_option("--timeout", arguments.timeout_s,
                  "Seconds after which a rank that does not come is lost")
      ->check(CLI::Range(1.0, 1e9))
      ->capture_default_str();
  verb.add_option("--job-folder", arguments.job_folder)->group("");  // from --prometheus
}

void append_arguments(std::vector<std::string>& argv, const ModelArguments& arguments) {
  if (!arguments.model.empty()) argv.push_back("--model=" + arguments.model);
  if (!arguments.adapter.empty()) argv.push_back("--adapter=" + arguments.adapter);
  if (arguments.base) argv.push_back("--base=" + *arguments.base);
  if (arguments.expert != 0) argv.push_back(format("--expert={}", arguments.expert));
}

void append_arguments(std::vector<std::string>& argv, const InferenceArguments& arguments) {
  const InferenceArguments defaults;
  append_arguments(argv, static_cast<const ModelArguments&>(arguments));
  argv.push_back("--precision=" + arguments.precision);
  if (arguments.weights != defaults.weights) argv.push_back("--weights=" + arguments.weights);
  if (arguments.allow_nonfinite) argv.emplace_back("--allow-nonfinite");
  if (arguments.device != defaults.device) argv.push_back("--device=" + arguments.device);
  if (arguments.threads > 0) argv.push_back(format("--threads={}", arguments.threads));
  if (arguments.timeout_s != defaults.timeout_s) {
    argv.push_back(format("--timeout={}", arguments.timeout_s));
  }
  if (!arguments.job_folder.empty()) argv.push_back("--job-folder=" + arguments.job_folder);
}

void check_effects(const InferenceArguments& arguments, int ranks) {
  const InferenceArguments defaults;
  warn_without_effect(ranks == 1 && arguments.timeout_s != defaults.timeout_s, "--timeout",
                      "one rank waits for no other");
}

}  // namespace moesaic
