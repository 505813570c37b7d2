// What to say about a key that the schema does not have.
#include <algorithm>
#include <map>
#include <set>

#include "arch/arch.h"
#include "config/schema.h"
#include "core/error.h"

namespace moesaic {
namespace {

// Keys of the design that this version does not have: a recipe for a later one gets a clear answer.
const std::set<std::string>& later_keys() {
  static const std::set<std::string> keys = {
      "adapt", "continual", "privacy", "federated", "parallel.shard_optimizer", "log.prometheus"};
  return keys;
}

// What other trainers call a key of ours.
const std::map<std::string, std::string>& names_elsewhere() {
  static const std::map<std::string, std::string> names = {
      {"top_k", "model.config.num_experts_per_tok"},
      {"moe_router_topk", "model.config.num_experts_per_tok"},
      {"aux_loss_coef", "moe.balance.coefficient"},
      {"moe_aux_loss_coeff", "moe.balance.coefficient"},
      {"router_aux_loss_coef", "moe.balance.coefficient"},
      {"capacity", "moe.capacity_factor"},
      {"expert_capacity_factor", "moe.capacity_factor"},
      {"router_z", "moe.router_z_coefficient"},
      {"z_loss", "moe.router_z_coefficient"},
      {"moe_z_loss_coeff", "moe.router_z_coefficient"}};
  return names;
}

std::string last_part(const std::string& path) { return path.substr(path.rfind('.') + 1); }

// Names of the keys and sections right under `prefix` ("" or "train.").
std::vector<std::string> names_under(const std::string& prefix) {
  std::set<std::string> names;
  for (const Key& key : recipe_keys()) {
    if (key.path.compare(0, prefix.size(), prefix) != 0) continue;
    const std::string rest = key.path.substr(prefix.size());
    names.insert(rest.substr(0, rest.find('.')));
  }
  if (prefix.empty()) names.insert("extends");
  return {names.begin(), names.end()};
}

bool is_architecture_key(const std::string& name) {
  const std::vector<std::string> types = arch::model_types();
  return std::any_of(types.begin(), types.end(), [&](const std::string& type) {
    const std::vector<std::string> keys = arch::config_keys(type);
    return std::find(keys.begin(), keys.end(), name) != keys.end();
  });
}

// Where else a key of that name lives, as a hint.
std::string owner_of(const std::string& name) {
  std::vector<std::string> owners;
  for (const Key& key : recipe_keys()) {
    if (last_part(key.path) == name) owners.push_back(format("'{}'", key.path));
  }
  const auto elsewhere = names_elsewhere().find(name);
  if (elsewhere != names_elsewhere().end()) {
    owners.push_back(format("'{}'", elsewhere->second));
  } else if (is_architecture_key(name)) {
    owners.push_back(format("'model.config.{}'", name));
  }
  return owners.empty() ? "" : format("; the key is {}", join(owners, " or "));
}

}  // namespace

const Key* find_key(const std::string& path) {
  for (const Key& key : recipe_keys()) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

bool is_section(const std::string& path) {
  return std::any_of(recipe_keys().begin(), recipe_keys().end(), [&](const Key& key) {
    return key.path.size() > path.size() && key.path.compare(0, path.size(), path) == 0 &&
           key.path[path.size()] == '.';
  });
}

void refuse_unknown_key(const std::string& prefix, const std::string& name, const Place& place,
                        ProblemList& problems) {
  const std::string dotted = prefix.empty() ? "" : prefix + ".";
  const std::string path = dotted + name;
  if (problems.full()) return;
  if (later_keys().count(path) > 0) {
    return problems.error(place, path, "is not supported by this version of Moesaic; remove it");
  }
  std::string hint = owner_of(name);
  if (hint.empty()) hint = did_you_mean(name, names_under(dotted));
  problems.error(place, dotted + shortened(name), "unknown key" + hint);
}

}  // namespace moesaic
