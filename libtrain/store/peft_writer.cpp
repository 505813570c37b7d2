#include "store/peft_writer.h"

#include <algorithm>
#include <compare>
#include <set>
#include <vector>

#include "arch/parameter_table.h"
#include "core/fs.h"
#include "store/finite.h"
#include "store/hub_names.h"
#include "store/peft_experts.h"
#include "store/peft_names.h"
#include "store/safetensors.h"

namespace moesaic {
namespace {

constexpr std::string_view kWeightEnd = ".weight";

std::string module_of(const std::string& parameter) {
  return parameter.substr(0, parameter.rfind('.'));
}

/// What the model has, as PEFT matches names against it: modules, and parameters of modules.
std::set<std::string> all_targets(const arch::Options& options, const arch::ParameterTable& table) {
  std::set<std::string> names;
  for (const arch::ParameterInfo& info : table) {
    if (arch::is_prediction_parameter(options, info.name)) continue;
    if (info.scope == arch::Scope::kExpert) {
      const std::string experts = name_in_memory(options, experts_prefix(info.name));
      names.insert({experts + "gate_up_proj", experts + "down_proj"});
    } else if (info.name.ends_with(kWeightEnd)) {
      names.insert(
          {name_in_memory(options, info.name), module_of(name_in_memory(options, info.name))});
    }
  }
  return names;
}

/// As few ends of names as mean `chosen`, and no other of `all`.
std::vector<std::string> short_names(const std::set<std::string>& chosen,
                                     const std::set<std::string>& all) {
  const auto means_others = [&](const std::string& end) {
    return std::any_of(all.begin(), all.end(), [&](const std::string& name) {
      return !chosen.contains(name) && (name == end || name.ends_with("." + end));
    });
  };
  std::set<std::string> ends;
  for (const std::string& name : chosen) {
    const auto layer = layer_of(name);
    const std::string last = name.substr(name.rfind('.') + 1);
    const std::string inside = layer ? name.substr(arch::layer_prefix(*layer).size()) : name;
    // The last word of a parameter alone says too little to a reader.
    if (name.ends_with(kWeightEnd) || means_others(last))
      ends.insert(means_others(inside) ? name : inside);
    else
      ends.insert(last);
  }
  return {ends.begin(), ends.end()};
}

/// Rank and lora_alpha (without rsLoRA) of what PEFT adapts.
struct PeftWidth {
  std::int64_t r = 0;
  double alpha = 0;
  auto operator<=>(const PeftWidth&) const = default;
};

class PeftWriter {
 public:
  PeftWriter(const Adapter& adapter, const arch::Options& options)
      : adapter_(adapter), options_(options), table_(arch::parameter_table(options)) {}

  PeftFiles write(ExpertLayout layout) {
    for (const arch::ParameterInfo& info : table_) {
      const auto pair = adapter_.pairs.find(info.name);
      if (pair == adapter_.pairs.end()) continue;
      check(info, pair->second);
      if (info.scope == arch::Scope::kDense)
        add_dense(info, pair->second);
      else
        expert_pairs_.emplace(info.name, pair->second);
    }
    if (!expert_pairs_.empty()) add_experts(layout);
    for (const auto& [name, values] : adapter_.saved) add_saved(name, values);
    name_targets();
    return std::move(files_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const std::string& why) const {
    throw Error(ErrorKind::kRecipe, format("PEFT has no form for {}: {}", what, why),
                "export the merged model, without --adapter");
  }

  /// Whether PEFT adapts the weight as a parameter: in models with routed experts it takes modules
  /// with the names of their projections, and routers, for parts of the fused experts.
  bool is_parameter(const arch::ParameterInfo& info) const {
    if (info.group == arch::Group::kRouter) return true;
    const bool in_network = info.group == arch::Group::kDense || info.group == arch::Group::kShared;
    return options_.is_moe() && in_network;
  }

  void check(const arch::ParameterInfo& info, const AdapterPair& pair) const {
    if (pair.magnitude.defined() != adapter_.pairs.begin()->second.magnitude.defined())
      refuse("pairs with and without DoRA", "use_dora is of all of them");
    if (arch::is_prediction_parameter(options_, info.name))
      refuse(info.name, "its model has no layers for multi-token prediction");
    const bool expert = info.scope == arch::Scope::kExpert;
    if (pair.magnitude.defined() && (expert || is_parameter(info)))
      refuse("DoRA of " + info.name, "it adapts a parameter there, not a module");
  }

  void put(const std::string& path, const at::Tensor& a, const at::Tensor& b) {
    files_.tensors.emplace(peft_key_text({path, PeftPart::kA}), a.contiguous());
    files_.tensors.emplace(peft_key_text({path, PeftPart::kB}), b.contiguous());
  }
  static PeftWidth width_of(const AdapterPair& pair) {
    return {pair.rank(), pair.scale * static_cast<double>(pair.rank())};
  }

  void add_dense(const arch::ParameterInfo& info, const AdapterPair& pair) {
    const std::string name = name_in_memory(options_, info.name);
    const std::string path = module_of(name);
    put(path, pair.a, pair.b);
    if (pair.magnitude.defined()) {
      files_.config.use_dora = true;
      files_.tensors.emplace(peft_key_text({path, PeftPart::kMagnitude}),
                             pair.magnitude.contiguous());
    }
    const bool parameter = is_parameter(info);
    (parameter ? parameters_ : modules_).insert(parameter ? name : path);
    widths_[parameter ? name : path] = width_of(pair);
  }

  // Routed experts.

  void add_experts(ExpertLayout layout) {
    arch::ParameterTable experts;
    for (const arch::ParameterInfo& info : table_) {
      if (info.scope == arch::Scope::kExpert && !arch::is_prediction_parameter(options_, info.name))
        experts.push_back(info);
    }
    if (layout == ExpertLayout::kPerExpert) {
      expert_pairs_ = even_pairs(expert_pairs_, options_, experts);
      width_of_experts_ = width_of(expert_pairs_.begin()->second);
    }
    std::set<std::string> prefixes;
    for (const auto& [name, pair] : expert_pairs_) prefixes.insert(experts_prefix(name));
    for (const std::string& prefix : prefixes) add_layer(prefix, layout);
    if (layout == ExpertLayout::kFused) return;
    for (const auto& [name, pair] : expert_pairs_) put_each(name, pair);
    // Its own names of what it fuses, for readers that do not.
    if (options_.model_type == "qwen2_moe") return;
    for (const auto& [name, pair] : expert_pairs_)
      own_names_.insert(module_of(name).substr(experts_prefix(name).size()));
  }

  void put_each(const std::string& name, const AdapterPair& pair) {
    for (std::int64_t i = 0; i < pair.a.size(0); ++i)
      put(module_of(hub_name(name, i)), pair.a.select(0, i), pair.b.select(0, i));
  }

  const AdapterPair* expert_pair(const std::string& name) const {
    const auto found = expert_pairs_.find(name);
    return found == expert_pairs_.end() ? nullptr : &found->second;
  }
  const std::vector<std::int64_t>& shape_of(const std::string& name) const {
    return std::find_if(table_.begin(), table_.end(),
                        [&](const auto& info) { return info.name == name; })
        ->shape;
  }

  // The targets of a layer's experts; their tensors where these are fused.
  void add_layer(const std::string& prefix, ExpertLayout layout) {
    const arch::NetworkNames& names = arch::network_names(options_);
    const auto weight = [&](const char* name) {
      return format("{}{}{}", prefix, name, kWeightEnd);
    };
    const std::string memory = name_in_memory(options_, prefix);
    const std::string path = memory.substr(0, memory.size() - 1);
    const AdapterPair* gate = expert_pair(weight(names.gate));
    const AdapterPair* up = expert_pair(weight(names.up));
    const AdapterPair* down = expert_pair(weight(names.down));
    const bool fused = layout == ExpertLayout::kFused;
    if (gate || up) {
      const AdapterPair both =
          fused ? fused_pair({gate, up}, {shape_of(weight(names.gate)), shape_of(weight(names.up))})
                : AdapterPair{};
      if (fused) put(down ? path + ".base_layer" : path, flat_a(both), flat_b(both));
      const PeftWidth twice{2 * width_of_experts_.r, 2 * width_of_experts_.alpha};
      add_fused_target(memory + "gate_up_proj", fused ? width_of(both) : twice);
    }
    if (!down) return;
    if (fused) put(path, flat_a(*down), flat_b(*down));
    add_fused_target(memory + "down_proj", width_of(*down));
  }

  void add_fused_target(const std::string& name, const PeftWidth& width) {
    parameters_.insert(name);
    widths_[name] = width;
  }

  // Weights trained in full.

  void add_saved(const std::string& name, const at::Tensor& values) {
    const std::string module = module_of(name);
    for (const arch::ParameterInfo& info : table_) {
      if (info.name == name && info.scope == arch::Scope::kExpert)
        refuse(name, "routed experts that were trained in full are no module of their own");
      if (module_of(info.name) == module && !adapter_.saved.contains(info.name))
        refuse(module, format("{} was trained in full and {} was not", name, info.name));
    }
    const std::string memory = name_in_memory(options_, name);
    files_.tensors.emplace(peft_key_text({memory, PeftPart::kSaved}), values.contiguous());
    saved_.insert(module_of(memory));
    if (!options_.tie_word_embeddings || name != kTiedEmbedding) return;
    files_.tensors.emplace(peft_key_text({kTiedHead, PeftPart::kSaved}), values.contiguous());
    saved_.insert(module_of(kTiedHead));
  }

  // The configuration.

  void name_targets() {
    const std::set<std::string> all = all_targets(options_, table_);
    PeftConfig& config = files_.config;
    config.target_modules = short_names(modules_, all);
    config.target_modules.insert(config.target_modules.end(), own_names_.begin(), own_names_.end());
    config.target_parameters = short_names(parameters_, all);
    config.modules_to_save.assign(saved_.begin(), saved_.end());  // any name that ends so is meant
    std::map<PeftWidth, std::set<std::string>> groups;
    for (const auto& [name, width] : widths_) groups[width].insert(name);
    const PeftWidth most = default_width(groups);
    config.r = std::max<std::int64_t>(1, most.r);
    config.lora_alpha = most.alpha;
    for (const auto& [width, names] : groups) {
      if (width == most) continue;
      for (const std::string& name : short_names(names, all)) {
        if (width.r != most.r) config.rank_pattern.emplace_back(name, width.r);
        if (width.alpha != most.alpha) config.alpha_pattern.emplace_back(name, width.alpha);
      }
    }
  }

  // PEFT takes that of experts one by one from the defaults.
  PeftWidth default_width(const std::map<PeftWidth, std::set<std::string>>& groups) const {
    if (width_of_experts_.r > 0) return width_of_experts_;
    PeftWidth most;
    std::size_t number = 0;
    for (const auto& [width, names] : groups) {
      if (names.size() > number) most = width, number = names.size();
    }
    return most;
  }

  const Adapter& adapter_;
  const arch::Options& options_;
  arch::ParameterTable table_;
  std::map<std::string, AdapterPair> expert_pairs_;
  PeftWidth width_of_experts_;  // one by one; rank 0: there are none so
  std::set<std::string> modules_, parameters_, own_names_, saved_;
  std::map<std::string, PeftWidth> widths_;  // by the name that PEFT matches
  PeftFiles files_;
};

}  // namespace

PeftFiles peft_files(const Adapter& adapter, const arch::Options& options, ExpertLayout layout) {
  return PeftWriter(adapter, options).write(layout);
}

void write_peft_files(const std::string& folder, const PeftFiles& files) {
  std::vector<SafetensorsSpec> specs;
  for (const auto& [name, values] : files.tensors) {
    MOESAIC_CHECK(all_finite(values), ErrorKind::kCheckpoint, "{} holds NaN or infinity", name);
    specs.push_back({name, values.scalar_type(), values.sizes().vec()});
  }
  SafetensorsWriter writer(folder + "/" + kPeftWeightsFile, specs);
  for (const SafetensorsSpec& spec : writer.tensors())
    if (spec.numel() > 0) writer.write(files.tensors.at(spec.name));
  writer.finish();
  write_file_atomic(folder + "/" + kPeftConfigFile, peft_config_text(files.config));
}

}  // namespace moesaic
