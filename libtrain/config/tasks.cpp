#include "config/tasks.h"

#include <algorithm>

#include "core/format.h"

namespace moesaic {

std::vector<ContinualTask> tasks_of(const Recipe& recipe) {
  return recipe.continual ? recipe.continual->tasks : std::vector<ContinualTask>();
}

Recipe task_recipe(const Recipe& recipe, const ContinualTask& task) {
  Recipe alone = recipe;
  alone.data.train = task.train;
  alone.data.valid = task.valid;
  alone.train.max_steps = task.max_steps;
  alone.continual->tasks.clear();
  return alone;
}

bool has_path(const std::vector<SourceOptions>& sources, const std::string& path) {
  return std::any_of(sources.begin(), sources.end(),
                     [&](const SourceOptions& source) { return source.path == path; });
}

std::vector<SourceList> source_lists(const Recipe& recipe) {
  std::vector<SourceList> lists = {{"data.train", recipe.data.train},
                                   {"data.valid", recipe.data.valid}};
  std::size_t index = 0;
  for (const ContinualTask& task : tasks_of(recipe)) {
    const std::string key = format("continual.tasks[{}]", index++);
    lists.push_back({key + ".train", task.train});
    lists.push_back({key + ".valid", task.valid});
  }
  if (recipe.continual)
    lists.push_back({"continual.replay.sources", recipe.continual->replay.sources});
  if (!recipe.federated) return lists;
  for (std::size_t i = 0; i < recipe.federated->silos.size(); ++i) {
    const std::string key = format("federated.silos[{}]", i);
    lists.push_back({key + ".train", recipe.federated->silos[i].train});
    lists.push_back({key + ".valid", recipe.federated->silos[i].valid});
  }
  return lists;
}

}  // namespace moesaic
