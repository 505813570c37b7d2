#include "recipe_facts.h"

#include <algorithm>
#include <map>

#include "config/scalar.h"
#include "config/yaml_leaves.h"

namespace moesaic::cli {
namespace {

// Mistakes are no matter here: what cannot be read has no keys.
YamlNode tree_of(const std::string& recipe) {
  ProblemList problems;
  return parse_yaml(recipe, "recipe.yaml", problems);
}

std::optional<std::int64_t> number_at(const YamlNode& tree, const std::string& path) {
  const YamlNode* node = tree.at(path);
  return node != nullptr && node->is_scalar() ? scalar_int(node->text) : std::nullopt;
}

std::optional<std::int64_t> steps_of_tasks(const YamlNode& tree) {
  const YamlNode* tasks = tree.at("continual.tasks");
  if (tasks == nullptr || !tasks->is_sequence() || tasks->items.empty()) return std::nullopt;
  std::int64_t sum = 0;
  for (const YamlNode& task : tasks->items) {
    const auto steps = number_at(task, "max_steps");
    if (!steps || *steps < 0 || *steps > (std::int64_t{1} << 40)) return std::nullopt;
    sum += *steps;
  }
  return sum;
}

}  // namespace

std::optional<std::int64_t> last_step_of(const std::string& recipe) {
  const YamlNode tree = tree_of(recipe);
  if (const auto rounds = number_at(tree, "federated.rounds")) return rounds;
  if (const auto steps = steps_of_tasks(tree)) return steps;
  return number_at(tree, "train.max_steps");
}

void take_recipe_facts(RunView& run) {
  run.last_step = last_step_of(run.recipe());
  run.is_supervised = number_at(tree_of(run.recipe()), "train.restarts").value_or(0) > 0;
}

std::vector<RecipeDifference> recipe_differences(const std::vector<std::string>& recipes) {
  std::vector<std::string> keys;  // in the order in which they come
  std::map<std::string, std::vector<std::string>> values;
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    for (const auto& [key, text] : yaml_leaves(tree_of(recipes[i]))) {
      auto& of_key = values[key];
      if (of_key.empty()) keys.push_back(key);
      of_key.resize(recipes.size());
      of_key[i] = text.empty() ? "\"\"" : text;
    }
  }
  std::vector<RecipeDifference> found;
  for (const std::string& key : keys) {
    const std::vector<std::string>& of_key = values[key];
    if (std::adjacent_find(of_key.begin(), of_key.end(), std::not_equal_to<>()) != of_key.end())
      found.push_back({key, of_key});
  }
  return found;
}

}  // namespace moesaic::cli
