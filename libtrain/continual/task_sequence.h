// TaskSequence: the part of the step that leads through the tasks of a run. Before the first task
// and after each it evaluates all of them, a row of the matrix; at a task's end it tells those who
// want to know, and lets the optimizer begin anew. Which data and learning rate a step has is said
// by TaskData and Schedule.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "continual/task_end.h"
#include "data/task_data.h"
#include "loss/step_part.h"
#include "metrics/continual.h"

namespace moesaic {

class TaskSequence : public StepPart {
 public:
  struct Task {
    std::string name;
    Recipe recipe;                     // of the task alone
    const StepData& data;              // its draws
    std::function<double()> evaluate;  // the metric on its validation data; collective over world
    std::int64_t sequences = 0;        // of its training data
  };
  struct Options {
    std::string metric = "loss";  // accuracy | loss
    std::string run_dir;
    TaskSteps steps;
    std::vector<Task> tasks;  // as many as `steps` has
    /// What is there to be told of each task's end, in this order.
    std::vector<TaskEnd*> ends;
    /// Nothing of the last task is kept in the optimizer. Local.
    std::function<void()> restart;
    /// Returns when no thread of this process writes a checkpoint. Collective over world.
    std::function<void()> settle;
  };

  TaskSequence(const RankContext& context, Options options);

  /// Collective over world, as the next one.
  void before(const Step& step) override;
  void finished(const RankContext& context, const Step& step) override;
  /// "task": the number of the task, from 1.
  void report(MetricsRow& row) const override;

  /// The rows so far are in the manifest, under "tasks".
  void add_notes(Json& training) const override;
  /// Error(kCheckpoint) for rows that are damaged or are not those of the step. The files become
  /// those of the checkpoint. Collective over world.
  void restore(const RankContext& context, const Json& training, const LiveState& live) override;

  const TaskMatrix& matrix() const { return matrix_; }

 private:
  void add_row();
  void tell_row() const;
  void write_files() const;

  const RankContext& context_;
  Options options_;
  TaskMatrix matrix_;
  std::size_t task_ = 0;  // of the step under way
};

}  // namespace moesaic
