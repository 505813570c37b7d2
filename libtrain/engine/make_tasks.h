// The tasks of a run (continual.tasks): what goes into its parts for them.
#pragma once

#include "config/recipe.h"
#include "engine/open_data.h"
#include "engine/parts.h"

namespace moesaic {

/// The schedule of a recipe: one course, or one for each task.
Schedule make_schedule(const Recipe& recipe, std::int64_t max_steps,
                       const std::optional<RunTasks>& tasks);

/// Nothing for a run without tasks. The last of the parts to be made: it goes with the model, the
/// optimizer, the saver and `parts.task_ends`. Local.
void add_tasks(const Recipe& recipe, const RankContext& context, std::optional<RunTasks> tasks,
               TrainingParts& parts);

}  // namespace moesaic
