#include "config/lora_targets.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <variant>

#include "config/name_pattern.h"
#include "config/problem.h"

namespace moesaic {
namespace {

using arch::Group;
using arch::ParameterInfo;

std::string with_factor(const std::string& weight, const char* factor) {
  return module_of(weight) + factor;
}

bool is_matrix(const ParameterInfo& info) {
  return info.shape.size() == (info.scope == arch::Scope::kExpert ? 3U : 2U) &&
         info.name.ends_with(".weight");
}

// What adapters may stand beside by name; the routers have a key of their own.
bool may_have_adapter(const ParameterInfo& info) {
  return is_matrix(info) && info.group != Group::kEmbedding && info.group != Group::kHead &&
         info.group != Group::kRouter;
}

// Of a shared expert: one row.
bool is_gate(const ParameterInfo& info) { return info.shape[info.shape.size() - 2] == 1; }

bool is_all_linear(const ModuleNames& names) {
  const auto* text = std::get_if<std::string>(&names);
  return text != nullptr && *text == "all-linear";
}

bool names_experts(const ModuleNames& names) {
  const auto mentions = [](const std::string& text) {
    return text.find("experts") != std::string::npos &&
           text.find("shared_experts") == std::string::npos;
  };
  if (const auto* text = std::get_if<std::string>(&names)) return mentions(*text);
  const auto& list = std::get<std::vector<std::string>>(names);
  return std::any_of(list.begin(), list.end(), mentions);
}

// A value by patterns for the ends of module paths; the first that matches counts.
template <class T>
class PatternMap {
 public:
  PatternMap(std::string key, const NamedValues<T>& values) : key_(std::move(key)) {
    for (const auto& [text, value] : values) entries_.push_back({NamePattern(key_, text), value});
  }
  T of(const std::string& module, T otherwise) {
    const T* found = nullptr;
    for (Entry& entry : entries_) {
      if (!entry.pattern.matches_end(module)) continue;
      entry.used = true;
      if (found == nullptr) found = &entry.value;
    }
    return found == nullptr ? otherwise : *found;
  }
  void require_all_used() const {
    for (const Entry& entry : entries_) {
      if (!entry.used)
        throw KeyError(key_, format("{} matches no adapted module", shown(entry.pattern.text())));
    }
  }

 private:
  struct Entry {
    NamePattern pattern;
    T value;
    bool used = false;
  };
  std::string key_;
  std::vector<Entry> entries_;
};

class Ranks {
 public:
  explicit Ranks(const LoraOptions& lora)
      : lora_(lora),
        r_("adapt.lora.rank_pattern", lora.rank_pattern),
        alpha_("adapt.lora.alpha_pattern", lora.alpha_pattern) {}

  LoraTarget target(const ParameterInfo& info) {
    const std::string module = module_of(info.name);
    LoraTarget target{.weight = info.name,
                      .r = r_.of(module, lora_.r),
                      .alpha = alpha_.of(module, lora_.lora_alpha)};
    const std::size_t last = info.shape.size() - 1;
    const std::int64_t most = std::min(info.shape[last], info.shape[last - 1]);
    if (target.r > most) {
      throw KeyError("adapt.lora.r",
                     format("is {} for {}, a matrix [{}, {}]: the largest rank is {}; rank_pattern "
                            "gives some modules another",
                            target.r, info.name, info.shape[last - 1], info.shape[last], most));
    }
    target.dora = lora_.use_dora;
    target.pissa = lora_.is_pissa();
    const auto r = static_cast<double>(target.r);
    target.scale = target.alpha / (lora_.use_rslora ? std::sqrt(r) : r);
    return target;
  }
  void require_all_used() const {
    r_.require_all_used();
    alpha_.require_all_used();
  }

 private:
  const LoraOptions& lora_;
  PatternMap<std::int64_t> r_;
  PatternMap<double> alpha_;
};

// The weights that the targets name, less those that are excluded.
std::set<std::string> named_weights(const LoraOptions& lora, const arch::Options& arch,
                                    const arch::ParameterTable& table) {
  const bool all = is_all_linear(lora.target_modules);
  ModuleMatcher targets("adapt.lora.target_modules",
                        all ? ModuleNames(std::string(".*")) : lora.target_modules);
  ModuleMatcher excluded("adapt.lora.exclude_modules", lora.exclude_modules);
  std::set<std::string> names;
  for (const ParameterInfo& info : table) {
    const std::string module = module_of(info.name);
    if (!may_have_adapter(info) || arch::is_prediction_parameter(arch, info.name)) continue;
    const bool out = excluded.matches(module);
    const bool named = all ? !is_gate(info) : targets.matches(module);
    if (named && !out) names.insert(info.name);
  }
  if (!all) {
    targets.require_all_used(
        "linear map that may have an adapter (output head and embedding may be in "
        "modules_to_save; adapt.lora.router speaks of the router)");
  }
  excluded.require_all_used("linear map");
  return names;
}

// Routed experts may be left out by saying so: excluded by name, or attention alone by name. Those
// that `table` trains in full are not left out.
void require_experts(const LoraOptions& lora, const arch::Options& arch,
                     const arch::ParameterTable& table, const std::set<std::string>& names) {
  if (!arch.is_moe() || names_experts(lora.exclude_modules)) return;
  bool others = is_all_linear(lora.target_modules);
  for (const ParameterInfo& info : table) {
    const bool named = names.contains(info.name);
    if (info.group == Group::kExperts && (named || info.trainable)) return;
    others = others || (named && info.group != Group::kAttention);
  }
  if (!others) return;
  throw KeyError("adapt.lora.target_modules",
                 "leaves every routed expert untouched; name experts, or say that it is meant: "
                 "exclude_modules: [experts]");
}

}  // namespace

std::string lora_a_name(const std::string& weight) { return with_factor(weight, ".lora_A.weight"); }
std::string lora_b_name(const std::string& weight) { return with_factor(weight, ".lora_B.weight"); }
std::string lora_magnitude_name(const std::string& weight) {
  return with_factor(weight, ".lora_magnitude_vector.weight");
}
std::string lora_a_start_name(const std::string& weight) {
  return with_factor(weight, ".lora_A_start.weight");
}
std::string lora_b_start_name(const std::string& weight) {
  return with_factor(weight, ".lora_B_start.weight");
}

bool is_layer_matrix(const ParameterInfo& info) { return may_have_adapter(info) && !is_gate(info); }

std::vector<LoraTarget> lora_targets(const LoraOptions& lora, const arch::Options& arch,
                                     const arch::ParameterTable& table) {
  const std::set<std::string> names = named_weights(lora, arch, table);
  require_experts(lora, arch, table, names);
  ModuleMatcher saved("adapt.lora.modules_to_save", lora.modules_to_save);
  Ranks ranks(lora);
  std::vector<LoraTarget> targets;
  for (const ParameterInfo& info : table) {
    const bool router = lora.router == "lora" && info.group == Group::kRouter && is_matrix(info) &&
                        !arch::is_prediction_parameter(arch, info.name);
    if (!router && !names.contains(info.name)) continue;
    if (!saved.matches(module_of(info.name))) targets.push_back(ranks.target(info));
  }
  ranks.require_all_used();
  return targets;
}

}  // namespace moesaic
