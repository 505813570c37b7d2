#include "store/peft_config.h"

#include <cmath>
#include <set>

#include "core/json.h"
#include "core/json_text.h"
#include "core/path.h"

namespace moesaic {
namespace {

constexpr std::int64_t kMaxPeftRank = 1 << 20;

// Read below, or of no weight for what a finished adapter computes: which names it was made for is
// plain from its tensors.
const std::set<std::string> kPeftKeys = {"alpha_pattern",
                                         "auto_mapping",
                                         "base_model_name_or_path",
                                         "bias",
                                         "corda_config",
                                         "eva_config",
                                         "exclude_modules",
                                         "inference_mode",
                                         "init_lora_weights",
                                         "layers_pattern",
                                         "layers_to_transform",
                                         "loftq_config",
                                         "lora_alpha",
                                         "lora_dropout",
                                         "lora_ga_config",
                                         "megatron_config",
                                         "megatron_core",
                                         "modules_to_save",
                                         "peft_type",
                                         "peft_version",
                                         "qalora_group_size",
                                         "r",
                                         "rank_pattern",
                                         "revision",
                                         "runtime_config",
                                         "target_modules",
                                         "target_parameters",
                                         "task_type",
                                         "use_dora",
                                         "use_rslora",
                                         "ensure_weight_tying",
                                         "ephemeral_gpu_offload",
                                         "velora_config"};

// Initialisations that leave the weights of the model as they are; the others take from them what
// they put into the factors, unless the adapter was converted when it was saved.
const std::set<std::string> kPlainStarts = {"gaussian", "eva", "orthogonal"};

bool says_nothing(const Json& value) {
  return value.is_null() || value == false || value == "" || value == "none" ||
         (value.is_structured() && value.empty());
}

std::string shown_value(const Json& value) { return printable(json_text(value), 40); }

/// Reads the keys and collects what is wrong.
class PeftConfigReader {
 public:
  explicit PeftConfigReader(const Json& json) : json_(json) {}

  PeftConfig read() {
    PeftConfig config;
    text("base_model_name_or_path", config.base_model);
    config.version.clear();
    text("peft_version", config.version);
    config.r = rank("r", value("r"), config.r);
    config.lora_alpha = alpha("lora_alpha", value("lora_alpha"), config.lora_alpha);
    flag("use_rslora", config.use_rslora);
    flag("use_dora", config.use_dora);
    const Json ranks = patterns("rank_pattern"), alphas = patterns("alpha_pattern");
    for (const auto& [key, item] : ranks.items())
      config.rank_pattern.emplace_back(key, rank("rank_pattern." + printable(key), item, 0));
    for (const auto& [key, item] : alphas.items())
      config.alpha_pattern.emplace_back(key, alpha("alpha_pattern." + printable(key), item, 0));
    names("target_modules", config.target_modules);
    names("target_parameters", config.target_parameters);
    names("modules_to_save", config.modules_to_save);
    check_method();
    check_unknown();
    return config;
  }
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  Json value(const char* key) const { return json_.value(key, Json()); }
  void wrong(const std::string& key, const Json& found, const char* allowed) {
    problems_.push_back(format("{} is {} (allowed: {})", key, shown_value(found), allowed));
  }

  std::int64_t rank(const std::string& key, const Json& found, std::int64_t otherwise) {
    if (found.is_null()) return otherwise;
    const bool fits = found.is_number_integer() && found >= 1 && found <= kMaxPeftRank;
    if (fits) return found.get<std::int64_t>();
    wrong(key, found, "a whole number from 1 on");
    return otherwise;
  }
  double alpha(const std::string& key, const Json& found, double otherwise) {
    if (found.is_null()) return otherwise;
    if (found.is_number() && std::isfinite(found.get<double>())) return found.get<double>();
    wrong(key, found, "a number");
    return otherwise;
  }
  void flag(const char* key, bool& into) {
    const Json found = value(key);
    if (found.is_boolean()) into = found.get<bool>();
    if (!found.is_boolean() && !found.is_null()) wrong(key, found, "true | false");
  }
  void text(const char* key, std::string& into) {
    const Json found = value(key);
    if (found.is_string()) into = found.get<std::string>();
    if (!found.is_string() && !found.is_null()) wrong(key, found, "a text");
  }
  Json patterns(const char* key) {
    Json found = value(key);
    if (found.is_object()) return found;
    if (!found.is_null()) wrong(key, found, "an object");
    return Json::object();
  }
  void names(const char* key, std::vector<std::string>& into) {
    const Json found = value(key);
    if (found.is_null() || found.is_string()) return;
    if (!found.is_array()) return wrong(key, found, "a list of names");
    for (const Json& item : found) {
      if (!item.is_string()) return wrong(key, item, "names");
      into.push_back(item.get<std::string>());
    }
  }

  void check_method() {
    const Json type = value("peft_type");
    if (type != "LORA") wrong("peft_type", type, "\"LORA\"");
    const Json bias = value("bias");
    if (!says_nothing(bias)) wrong("bias", bias, "\"none\"");
    const Json start = value("init_lora_weights");
    const bool plain = start.is_null() || start.is_boolean() ||
                       (start.is_string() && kPlainStarts.contains(start.get<std::string>()));
    if (plain) return;
    problems_.push_back(format(
        "init_lora_weights is {}: the adapter belongs to weights that were changed when it was "
        "made (save it with path_initial_model_for_weight_conversion)",
        shown_value(start)));
  }
  void check_unknown() {
    for (const auto& [key, item] : json_.items()) {
      if (kPeftKeys.contains(key) || says_nothing(item)) continue;
      problems_.push_back(format("{} is {}, a key that is not supported or of another version",
                                 printable(key), shown_value(item)));
    }
  }

  const Json& json_;
  std::vector<std::string> problems_;
};

Json plain_number(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

Json list_or_null(const std::vector<std::string>& names) {
  return names.empty() ? Json() : Json(names);
}

}  // namespace

bool is_peft_folder(const std::string& path) {
  return is_file(path + "/" + kPeftConfigFile, ErrorKind::kCheckpoint);
}

PeftConfig read_peft_config(const std::string& folder) {
  const std::string path = folder + "/" + kPeftConfigFile;
  MOESAIC_CHECK(is_peft_folder(folder), ErrorKind::kCheckpoint,
                "{} is no PEFT folder: there is no {} in it", folder, kPeftConfigFile);
  constexpr std::size_t kMaxBytes = 4U << 20;
  const Json json = read_json(path, ErrorKind::kCheckpoint, {.bytes = kMaxBytes});
  MOESAIC_CHECK(json.is_object(), ErrorKind::kCheckpoint, "{} holds no JSON object", path);
  PeftConfigReader reader(json);
  const PeftConfig config = reader.read();
  if (reader.problems().empty()) return config;
  const std::string writer = config.version.empty() ? "" : " by PEFT " + printable(config.version);
  throw Error(
      ErrorKind::kCheckpoint,
      format("{}, written{}, cannot be used: {}", path, writer, join(reader.problems(), "; ")),
      format("keys up to PEFT {} are known; what they cannot say PEFT can merge itself: "
             "merge_and_unload(), save_pretrained(), and take that model",
             kPeftVersion));
}

std::string peft_config_text(const PeftConfig& config) {
  Json alphas = Json::object();
  Json ranks = Json::object();
  for (const auto& [name, alpha] : config.alpha_pattern) alphas[name] = plain_number(alpha);
  for (const auto& [name, rank] : config.rank_pattern) ranks[name] = rank;
  const Json json = {{"alpha_pattern", alphas},
                     {"base_model_name_or_path", config.base_model},
                     {"bias", "none"},
                     {"fan_in_fan_out", false},
                     {"inference_mode", true},
                     {"init_lora_weights", true},
                     {"lora_alpha", plain_number(config.lora_alpha)},
                     {"lora_dropout", 0.0},
                     {"modules_to_save", list_or_null(config.modules_to_save)},
                     {"peft_type", "LORA"},
                     {"peft_version", config.version},
                     {"r", config.r},
                     {"rank_pattern", ranks},
                     {"target_modules", Json(config.target_modules)},
                     {"target_parameters", list_or_null(config.target_parameters)},
                     {"task_type", "CAUSAL_LM"},
                     {"use_dora", config.use_dora},
                     {"use_rslora", config.use_rslora}};
  return json_text(json, 2) + "\n";
}

}  // namespace moesaic
