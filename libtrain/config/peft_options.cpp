#include "config/peft_options.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <set>

#include "config/struct_value.h"
#include "core/json_text.h"

namespace moesaic {
namespace {

using ModuleList = std::vector<std::string>;

// Those of adapt.lora that PEFT has with the same meaning.
constexpr std::array kSharedKeys = {
    "r",        "lora_alpha",   "lora_dropout",  "target_modules", "exclude_modules",
    "use_dora", "rank_pattern", "alpha_pattern", "use_rslora",     "modules_to_save"};
constexpr const char* kFusedGateUp = "gate_up_proj";
constexpr const char* kFusedDown = "down_proj";
constexpr const char* kEndOfWeight = ".weight";

Json peft_json(const std::string& file) {
  constexpr std::size_t kMostBytes = 4U << 20;
  Json json = read_json(file, ErrorKind::kRecipe, {.bytes = kMostBytes});
  MOESAIC_CHECK(json.is_object(), ErrorKind::kRecipe, "{} holds no JSON object", file);
  return json;
}

ModuleList texts_in(const Json& json, const char* key) {
  ModuleList texts;
  const Json found = json.value(key, Json());
  for (const Json& item : found.is_array() ? found : Json::array())
    if (item.is_string()) texts.push_back(item.get<std::string>());
  return texts;
}

// Whether the experts' pairs lie in tensors of their own: "...experts.3.up_proj.lora_A.weight".
// What is no such file has none: who reads the tensors says what is wrong.
bool has_single_experts(const std::string& path) {
  constexpr std::uint64_t kMostBytes = 64U << 20;
  std::ifstream file(path, std::ios::binary);
  std::uint64_t size = 0;
  for (int i = 0; i < 8; ++i) size |= static_cast<std::uint64_t>(file.get() & 0xff) << (8 * i);
  if (!file || size > kMostBytes) return false;
  std::string header(static_cast<std::size_t>(size), ' ');
  if (!file.read(header.data(), static_cast<std::streamsize>(size))) return false;
  constexpr std::string_view kExperts = ".experts.";
  for (std::size_t at = header.find(kExperts); at != std::string::npos;
       at = header.find(kExperts, at + 1)) {
    const std::size_t next = at + kExperts.size();
    if (next < size && std::isdigit(static_cast<unsigned char>(header[next])) != 0) return true;
  }
  return false;
}

class PeftModules {
 public:
  PeftModules(const arch::Options& arch, bool single_experts)
      : arch_(arch), single_experts_(single_experts) {}

  // The modules that a name of PEFT's target_modules means.
  std::string of_module(const std::string& name) const {
    const arch::NetworkNames& names = arch::network_names(arch_);
    const bool projection = name == "gate_proj" || name == "up_proj" || name == "down_proj" ||
                            name == names.gate || name == names.up || name == names.down;
    // In qwen2_moe they are modules of the shared expert, too.
    const bool experts = arch_.is_moe() && arch_.model_type != "qwen2_moe" && projection;
    return experts ? "experts." + name : in_block(name);
  }
  // Those that a name of a parameter means: of fused experts, or "X.weight" of a module X.
  ModuleList of_parameter(const std::string& name) const {
    if (name.ends_with(kEndOfWeight))
      return {in_block(name.substr(0, name.size() - std::string_view(kEndOfWeight).size()))};
    if (const auto before = before_end(name, kFusedGateUp))
      return {in_experts(*before) + "gate_proj", in_experts(*before) + "up_proj"};
    if (const auto before = before_end(name, kFusedDown)) return {in_experts(*before) + kFusedDown};
    return {name};
  }
  // A pattern of ranks or alphas. Where experts are single, the one for gate and up says what both
  // together get in PEFT.
  template <class T>
  NamedValues<T> of_patterns(const NamedValues<T>& patterns, const ModuleList& parameters) const {
    NamedValues<T> result;
    for (const auto& [name, value] : patterns) {
      const bool parameter =
          std::find(parameters.begin(), parameters.end(), name) != parameters.end() ||
          before_end(name, kFusedGateUp) || name.ends_with(kEndOfWeight);
      if (single_experts_ && before_end(name, kFusedGateUp)) continue;
      for (std::string& module : parameter ? of_parameter(name) : ModuleList{of_module(name)}) {
        const bool is_new = std::none_of(result.begin(), result.end(),
                                         [&](const auto& entry) { return entry.first == module; });
        if (is_new) result.emplace_back(std::move(module), value);
      }
    }
    return result;
  }
  bool is_router(const std::string& module) const {
    return arch_.is_moe() && (module == "gate" || module.ends_with(".gate"));
  }

 private:
  static std::optional<std::string> before_end(const std::string& name, const std::string& end) {
    const bool whole = name == end || name.ends_with("." + end);
    return whole ? std::optional(name.substr(0, name.size() - end.size())) : std::nullopt;
  }
  std::string in_experts(const std::string& before) const {
    return before.empty() ? "experts." : in_block(before);
  }
  // In memory the network of a block is called mlp in every family.
  std::string in_block(const std::string& name) const {
    constexpr std::string_view kMemory = "mlp.";
    const std::string own = arch::network_names(arch_).block;
    const std::size_t at = name.starts_with(kMemory) ? 0 : name.find(".mlp.");
    if (own == kMemory || at == std::string::npos) return name;
    std::string changed = name;
    return changed.replace(at == 0 ? 0 : at + 1, kMemory.size(), own);
  }

  const arch::Options& arch_;
  bool single_experts_;
};

// Named targets: the router has a key of its own, and experts that nobody names stay out.
void set_targets(const PeftModules& modules, const arch::Options& arch, const ModuleList& named,
                 const ModuleList& parameters, LoraOptions& lora) {
  std::set<std::string> targets;
  for (const std::string& name : named) targets.insert(modules.of_module(name));
  for (const std::string& name : parameters)
    for (std::string& module : modules.of_parameter(name)) targets.insert(std::move(module));
  if (std::erase_if(targets, [&](const std::string& name) { return modules.is_router(name); }) > 0)
    lora.router = "lora";
  lora.target_modules = ModuleList(targets.begin(), targets.end());
  const bool experts = std::any_of(targets.begin(), targets.end(), [](const std::string& name) {
    return name.starts_with("experts.") || name.find(".experts.") != std::string::npos;
  });
  const auto* excluded = std::get_if<ModuleList>(&lora.exclude_modules);
  if (arch.is_moe() && !experts && excluded != nullptr && excluded->empty())
    lora.exclude_modules = ModuleList{"experts"};
}

// With layers_to_transform, a number or a list of them, the targets of these layers alone.
void keep_layers(const Json& layers, LoraOptions& lora) {
  std::vector<std::int64_t> numbers;
  for (const Json& layer : layers.is_array() ? layers : Json::array({layers}))
    if (layer.is_number_integer()) numbers.push_back(layer.get<std::int64_t>());
  const auto* names = std::get_if<ModuleList>(&lora.target_modules);
  if (numbers.empty() || names == nullptr || names->empty()) return;
  lora.target_modules = std::string(
      format(R"(.*\.layers\.({})\.(.*\.)?({}))", join(numbers, "|"), join(*names, "|")));
}

}  // namespace

LoraOptions lora_of_peft(const std::string& folder, const arch::Options& arch,
                         ProblemList& problems) {
  const std::string file = folder + "/adapter_config.json";
  const Json json = peft_json(file);
  Json shared = {{"r", 8}, {"lora_alpha", 8}};  // PEFT's own defaults
  for (const char* key : kSharedKeys)
    if (json.contains(key) && !json.at(key).is_null()) shared[key] = json.at(key);
  if (!shared.contains("target_modules")) shared["target_modules"] = Json::array();
  LoraOptions lora;
  const YamlNode node = parse_yaml(json_text(shared), file, problems, /*positions=*/false);
  read_section(schema_of(&lora), node, "", "", lora, problems);
  if (arch.tie_word_embeddings) std::erase(lora.modules_to_save, "lm_head");  // the embedding, too
  const ModuleList parameters = texts_in(json, "target_parameters");
  const PeftModules modules(arch, has_single_experts(folder + "/adapter_model.safetensors"));
  lora.rank_pattern = modules.of_patterns(lora.rank_pattern, parameters);
  lora.alpha_pattern = modules.of_patterns(lora.alpha_pattern, parameters);
  const auto* named = std::get_if<ModuleList>(&lora.target_modules);
  MOESAIC_CHECK(named != nullptr || parameters.empty(), ErrorKind::kRecipe,
                "{} has one regular expression as target_modules beside target_parameters; write "
                "target_modules as a list",
                file);
  if (named == nullptr) return lora;
  set_targets(modules, arch, ModuleList(*named), parameters, lora);
  keep_layers(json.value("layers_to_transform", Json()), lora);
  return lora;
}

}  // namespace moesaic
