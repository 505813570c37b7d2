// adapter_config.json of a PEFT folder: what of it says which numbers an adapter stands for.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace moesaic {

inline constexpr const char* kPeftConfigFile = "adapter_config.json";
inline constexpr const char* kPeftWeightsFile = "adapter_model.safetensors";
inline constexpr const char* kPeftVersion = "0.21.2";  // whose keys are known and written

/// Values by regular expressions of names of modules; the first that matches counts.
template <class T>
using PeftPatterns = std::vector<std::pair<std::string, T>>;

struct PeftConfig {
  std::string base_model;              // base_model_name_or_path
  std::string version = kPeftVersion;  // that wrote it; "" = not known
  std::int64_t r = 8;
  double lora_alpha = 8;
  bool use_rslora = false;
  bool use_dora = false;
  PeftPatterns<std::int64_t> rank_pattern;
  PeftPatterns<double> alpha_pattern;
  std::vector<std::string> target_modules;  // empty where the file has one regular expression
  std::vector<std::string> target_parameters;
  std::vector<std::string> modules_to_save;
};

/// Whether there is such a file in the folder `path`.
bool is_peft_folder(const std::string& path);

/// Error(kCheckpoint), with everything that is wrong, when the file is missing, damaged, of another
/// method than LoRA, or has a key in use that changes the numbers in a way not known here, as those
/// of other versions of PEFT may.
PeftConfig read_peft_config(const std::string& folder);

/// The text of the file, to be used and not trained on.
std::string peft_config_text(const PeftConfig& config);

}  // namespace moesaic
