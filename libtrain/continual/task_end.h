// The door of a task's end: what is found out of a task that was learned, before the next one
// begins (continual.tasks): importances, anchors, copies of the old model.
#pragma once

#include <cstdint>
#include <string>

#include "config/recipe.h"
#include "data/step_data.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// A task whose last step is done; the parameters are what it left.
struct LearnedTask {
  std::int64_t index = 0;  // from 0
  std::int64_t count = 1;  // tasks of the run: index + 1 == count after the last one
  std::string name;
  const Recipe&
      recipe;  // of this task alone: data.train, data.valid and train.max_steps are its own
  const StepData& data;  // its draws, steps from 0: the sample of a Fisher matrix is the first ones
  std::int64_t sequences = 0;  // of its training data; after so many draws they come again
};

class TaskEnd {
 public:
  virtual ~TaskEnd() = default;
  /// Called once for each task, after its row of the matrix was evaluated and before a checkpoint
  /// of its last step is saved: state that it makes is in that checkpoint, so that it is not called
  /// again on resume. Collective over world.
  virtual void task_ended(const RankContext& context, const LearnedTask& task) = 0;
};

}  // namespace moesaic
