#include "engine/make_tasks.h"

#include <functional>
#include <limits>
#include <utility>

#include "config/tasks.h"
#include "continual/task_sequence.h"
#include "loss/validation.h"

namespace moesaic {
namespace {

/// The loss over a task's validation data, or the accuracy where these have labels. Copies of the
/// weights in the compute dtype are its own: those of training may be older than the weights.
std::function<double()> evaluation_of(const std::shared_ptr<const EvalData>& data,
                                      const TrainingParts& parts, const RankContext& context) {
  const Computation& c = parts.computation;
  return [data, &model = *parts.model, &context, precision = c.precision, matmul = c.matmul,
          world = c.world] {
    Computation computation{.precision = precision, .matmul = matmul, .world = world};
    const Validation valid = validation_of(context, model, computation, *data);
    return valid.accuracy.value_or(valid.loss);
  };
}

double not_a_number() { return std::numeric_limits<double>::quiet_NaN(); }

}  // namespace

Schedule make_schedule(const Recipe& recipe, std::int64_t max_steps,
                       const std::optional<RunTasks>& tasks) {
  const ScheduleOptions& s = recipe.schedule;
  const Schedule::Options options{s.type, recipe.optimizer.learning_rate, s.warmup_steps, max_steps,
                                  s.min_ratio};
  return tasks ? Schedule(options, tasks->steps) : Schedule(options);
}

void add_tasks(const Recipe& recipe, const RankContext& context, std::optional<RunTasks> tasks,
               TrainingParts& parts) {
  if (!tasks) return;
  parts.optimizer = numbered_by_task(std::move(parts.optimizer), tasks->steps);
  const bool labels = tasks->valid.at(0)->has_labels();
  TaskSequence::Options options{.metric = labels ? "accuracy" : "loss",
                                .run_dir = recipe.run_dir,
                                .steps = tasks->steps,
                                .ends = parts.task_ends,
                                .restart = [&optimizer = *parts.optimizer] { forget(optimizer); },
                                .settle = [&saver = *parts.saver] { saver.finish(); }};
  std::size_t index = 0;
  for (const ContinualTask& task : tasks_of(recipe)) {
    options.tasks.push_back({.name = task.name,
                             .recipe = task_recipe(recipe, task),
                             .data = tasks->train->task(index),
                             .evaluate = tasks->hidden.contains(index)
                                             ? not_a_number
                                             : evaluation_of(tasks->valid[index], parts, context),
                             .sequences = tasks->sequences[index]});
    ++index;
  }
  parts.around.push_back(std::make_unique<TaskSequence>(context, std::move(options)));
}

}  // namespace moesaic
