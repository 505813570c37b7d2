// What to say about a key that the schema does not have.
#include <algorithm>
#include <map>

#include "arch/arch.h"
#include "config/schema.h"
#include "core/error.h"

namespace moesaic {
namespace {

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

std::string about_unknown_key(const std::string& section, const std::string& name) {
  std::string hint = owner_of(name);
  if (hint.empty()) {
    std::vector<std::string> names =
        schema_of(static_cast<const Recipe*>(nullptr)).names_in(section);
    if (section.empty()) names.emplace_back("extends");
    hint = did_you_mean(name, names);
  }
  return "unknown key" + hint;
}

}  // namespace moesaic
