// What continual.tasks asks of the rest of a recipe.
#include <algorithm>
#include <set>

#include "config/check.h"
#include "config/tasks.h"
#include "core/format.h"

namespace moesaic {
namespace {

// Each task has its own.
void refuse_the_runs_own(const Recipe& recipe, const Places& places, ProblemList& problems) {
  const auto refuse = [&](bool given, const char* key) {
    if (given)
      problems.error(place_of(places, key), key,
                     "and continual.tasks are both given: each task has its own");
  };
  refuse(!recipe.data.train.empty(), "data.train");
  refuse(!recipe.data.valid.empty(), "data.valid");
  refuse(recipe.train.max_steps.has_value(), "train.max_steps");
  refuse(recipe.train.epochs.has_value(), "train.epochs");
}

// Names become columns of a table and labels of a picture.
void check_task_names(const std::vector<ContinualTask>& tasks, const Places& places,
                      ProblemList& problems) {
  constexpr std::size_t kLongest = 64;
  std::set<std::string> names;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const std::string key = format("continual.tasks[{}].name", i);
    const std::string& name = tasks[i].name;
    if (problems.has_error(format("continual.tasks[{}]", i))) continue;
    const bool strange = std::any_of(name.begin(), name.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (name.empty() || strange || name.size() > kLongest) {
      problems.error(
          place_of(places, key), key,
          format("{} is no name: 1 to {} bytes without control characters", shown(name), kLongest));
    } else if (!names.insert(name).second) {
      problems.error(place_of(places, key), key,
                     format("{} is the name of an earlier task, too", shown(name)));
    }
  }
}

void check_task_steps(const Recipe& recipe, const std::vector<ContinualTask>& tasks,
                      const Places& places, ProblemList& problems) {
  const std::int64_t warmup = recipe.schedule.warmup_steps;
  for (const ContinualTask& task : tasks) {
    if (task.max_steps < 1 || warmup < task.max_steps) continue;
    problems.warning(place_of(places, "schedule.warmup_steps"), "schedule.warmup_steps",
                     format("{} is not below max_steps {} of task {}, which ends in warm-up",
                            warmup, task.max_steps, shown(task.name)));
  }
}

// Where every task says which classes it has: one that is judged is learned in some task.
void check_task_classes(const std::vector<ContinualTask>& tasks, const Places& places,
                        ProblemList& problems) {
  std::set<std::int64_t> learned;
  for (const ContinualTask& task : tasks) {
    for (const SourceOptions& source : task.train) {
      if (source.classes.empty()) return;
      learned.insert(source.classes.begin(), source.classes.end());
    }
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    for (std::size_t j = 0; j < tasks[i].valid.size(); ++j) {
      const std::string key = format("continual.tasks[{}].valid[{}].classes", i, j);
      for (const std::int64_t label : tasks[i].valid[j].classes) {
        if (learned.contains(label)) continue;
        problems.error(place_of(places, key), key,
                       format("no task has the class {} in its training data", label));
      }
    }
  }
}

}  // namespace

void check_tasks(const Recipe& recipe, const Places& places, ProblemList& problems) {
  const std::vector<ContinualTask> tasks = tasks_of(recipe);
  if (tasks.empty()) {
    if (recipe.data.train.empty() && !problems.has_error("data.train") &&
        !problems.has_error("continual.tasks") && !recipe.federated)
      problems.error(place_of(places, "data.train"), "data.train", "is missing");
    return;
  }
  refuse_the_runs_own(recipe, places, problems);
  check_task_names(tasks, places, problems);
  check_task_steps(recipe, tasks, places, problems);
  check_task_classes(tasks, places, problems);
  if (recipe.train.on_nonfinite == "rewind") {
    problems.error(place_of(places, "train.on_nonfinite"), "train.on_nonfinite",
                   "rewind does not go with continual.tasks: the steps that move up would leave "
                   "their task; stop and skip do");
  }
}

}  // namespace moesaic
