// The tasks that a recipe has learned one after the other (continual.tasks), and where a recipe
// names data.
#pragma once

#include <string>
#include <vector>

#include "config/recipe.h"

namespace moesaic {

/// Empty where the recipe has its own data alone.
std::vector<ContinualTask> tasks_of(const Recipe& recipe);

/// The recipe of one of its tasks alone: data.train, data.valid and train.max_steps are the task's.
Recipe task_recipe(const Recipe& recipe, const ContinualTask& task);

/// Sources of data, and the key that lists them.
struct SourceList {
  std::string key;  // "data.train", "continual.tasks[0].valid"
  std::vector<SourceOptions> sources;
};

/// Whether one of the sources has the path.
bool has_path(const std::vector<SourceOptions>& sources, const std::string& path);

/// All that a recipe names, in its order; old data last.
std::vector<SourceList> source_lists(const Recipe& recipe);

}  // namespace moesaic
