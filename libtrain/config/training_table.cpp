#include "config/training_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "config/lora_targets.h"
#include "config/name_pattern.h"
#include "config/parameter_groups.h"
#include "config/silos.h"

namespace moesaic {
namespace {

using arch::ParameterInfo;
using arch::ParameterTable;

// Parameters that the regular expressions of adapt.train name are trained, the others are not.
void train_named(const std::vector<std::string>& patterns, ParameterTable& table) {
  constexpr const char* kKey = "adapt.train";
  if (patterns.empty()) throw KeyError(kKey, "is an empty list: nothing would be trained");
  for (ParameterInfo& info : table) info.trainable = false;
  for (const std::string& text : patterns) {
    const NamePattern pattern(kKey, text);
    bool used = false;
    for (ParameterInfo& info : table) {
      if (!pattern.matches(info.name)) continue;
      used = true;
      info.trainable = !info.correction_bias;  // a rule moves that
    }
    if (!used) throw KeyError(kKey, format("'{}' matches the name of no parameter", text));
  }
}

void train_saved(const LoraOptions& lora, ParameterTable& table) {
  ModuleMatcher saved("adapt.lora.modules_to_save", lora.modules_to_save);
  for (ParameterInfo& info : table) {
    const bool router = lora.router == "full" && info.group == arch::Group::kRouter;
    if (saved.matches(module_of(info.name)) || router) info.trainable = !info.correction_bias;
  }
  saved.require_all_used("module");
}

// One factor of the change of `weight`: [to, from], or [E, to, from].
ParameterInfo factor(const ParameterInfo& weight, std::string name, std::int64_t to,
                     std::int64_t from) {
  ParameterInfo info = weight;
  info.name = std::move(name);
  info.shape[info.shape.size() - 2] = to;
  info.shape[info.shape.size() - 1] = from;
  info.adapter = info.trainable = true;
  const double size = static_cast<double>(weight.numel());
  info.flops_per_token = weight.flops_per_token * static_cast<double>(info.numel()) / size;
  return info;
}

// Rows of W + scale B A have these lengths.
ParameterInfo magnitude_of(const ParameterInfo& weight) {
  ParameterInfo info = weight;
  info.name = lora_magnitude_name(weight.name);
  info.shape.pop_back();
  info.init = arch::Init::kOnes;  // until the weights are there
  info.adapter = info.trainable = true;
  info.flops_per_token = 0;
  return info;
}

// Where PiSSA begins from: taken out of the weight, and kept, so that the change is known.
ParameterInfo start_of(const ParameterInfo& factor, std::string name) {
  ParameterInfo info = factor;
  info.name = std::move(name);
  info.init = arch::Init::kZeros;  // until the weights are there
  info.trainable = false;
  info.flops_per_token = 0;
  return info;
}

// PEFT's initial values: A uniform in +-1 / sqrt(K) or normal, B zeros; of PiSSA as start_of().
void add_factors(const LoraOptions& lora, const LoraTarget& target, const ParameterInfo& weight,
                 ParameterTable& table) {
  const std::size_t last = weight.shape.size() - 1;
  const std::int64_t in = weight.shape[last], out = weight.shape[last - 1];
  ParameterInfo a = factor(weight, lora_a_name(weight.name), target.r, in);
  const bool gaussian = lora.init_lora_weights == "gaussian";
  a.init = gaussian ? arch::Init::kNormal : arch::Init::kUniform;
  a.init_std = gaussian ? 1.0 / static_cast<double>(target.r)
                        : 1.0 / std::sqrt(3.0 * static_cast<double>(in));
  a.trainable = lora.train_a;
  ParameterInfo b = factor(weight, lora_b_name(weight.name), out, target.r);
  b.init = arch::Init::kZeros;
  b.learning_rate_ratio = lora.lora_plus_ratio;
  if (target.pissa) {
    a.init = arch::Init::kZeros;
    table.push_back(start_of(a, lora_a_start_name(weight.name)));
    table.push_back(start_of(b, lora_b_start_name(weight.name)));
  }
  table.push_back(std::move(a));
  table.push_back(std::move(b));
  if (target.dora) table.push_back(magnitude_of(weight));
}

ParameterTable with_adapters(const LoraOptions& lora, const arch::Options& arch,
                             const ParameterTable& table) {
  std::map<std::string, LoraTarget> targets;
  for (LoraTarget& target : lora_targets(lora, arch, table))
    targets.emplace(target.weight, std::move(target));
  ParameterTable rewritten;
  for (const ParameterInfo& info : table) {
    rewritten.push_back(info);
    const auto found = targets.find(info.name);
    // What is trained in full needs no adapter.
    if (found == targets.end() || info.trainable) continue;
    rewritten.back().adapter_scale = found->second.scale;
    add_factors(lora, found->second, info, rewritten);
  }
  return rewritten;
}

// How many experts a layer has at most whose scores are the fewest to add up to the share: so many
// of the largest always do.
std::int64_t most_chosen(const EsftOptions& esft, std::int64_t experts) {
  const double most = std::ceil(esft.share * static_cast<double>(experts));
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(most), 1, experts);
}

// Experts that adapt.train names are trained all the same; the layers for multi-token prediction
// are not scored.
void train_chosen(const EsftOptions& esft, const arch::Options& arch, ParameterTable& table) {
  bool some = false;
  for (ParameterInfo& info : table) {
    const bool chosen = info.scope == arch::Scope::kExpert && !info.trainable &&
                        !arch::is_prediction_parameter(arch, info.name);
    if (!chosen) continue;
    info.trainable = true;
    info.most_experts = most_chosen(esft, info.shape[0]);
    some = true;
  }
  if (!some) {
    throw KeyError("adapt.esft", arch.is_moe()
                                     ? "has nothing to choose: adapt.train names every expert"
                                     : "chooses experts, and the model has none");
  }
}

// Weights inside the layers are kept as adapt.lora.base says, which is for frozen ones.
void store_base(const LoraOptions& lora, ParameterTable& table) {
  const arch::Storage storage = arch::storage_named(lora.base);
  if (storage == arch::Storage::kMaster) return;
  for (ParameterInfo& info : table) {
    if (info.adapter || !is_layer_matrix(info)) continue;
    if (info.trainable) {
      throw KeyError("adapt.lora.base",
                     format("is {}, for frozen weights, and {} is trained in full (adapt.train, "
                            "modules_to_save): give it an adapter alone, or set base to master",
                            lora.base, info.name));
    }
    info.storage = storage;
  }
}

void adapt_table(const AdaptOptions& adapt, const arch::Options& arch, ParameterTable& table) {
  if (adapt.lora || adapt.esft) {
    for (ParameterInfo& info : table) info.trainable = false;
  }
  if (adapt.train) train_named(*adapt.train, table);
  if (adapt.esft) train_chosen(*adapt.esft, arch, table);
  if (adapt.lora) {
    train_saved(*adapt.lora, table);
    table = with_adapters(*adapt.lora, arch, table);
    store_base(*adapt.lora, table);
  }
  if (std::none_of(table.begin(), table.end(), [](const auto& info) { return info.trainable; }))
    throw KeyError("adapt", "leaves nothing that is trained");
}

}  // namespace

ParameterTable training_table(const Recipe& recipe, const arch::Options& arch) {
  ParameterTable table = arch::parameter_table(arch);
  if (recipe.adapt) adapt_table(*recipe.adapt, arch, table);
  apply_groups(recipe.optimizer.groups, table);  // last: they may name what was added
  return table;
}

bool is_moved_base(const Recipe& recipe, const ParameterInfo& info) {
  return moves_base(recipe) && info.adapter_scale != 0;
}

bool is_saved(const Recipe& recipe, const ParameterInfo& info) {
  const bool part = recipe.adapt && recipe.adapt->lora;
  return !part || info.trainable || info.adapter || is_moved_base(recipe, info);
}

}  // namespace moesaic
