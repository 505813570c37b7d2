// TaskData: the data of several tasks, one after the other. Each begins with its first draws.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "data/step_data.h"
#include "data/task_steps.h"

namespace moesaic {

class TaskData : public StepData {
 public:
  /// As many as `steps` has tasks.
  TaskData(std::vector<std::unique_ptr<StepData>> tasks, TaskSteps steps)
      : tasks_(std::move(tasks)), steps_(std::move(steps)) {
    MOESAIC_ASSERT(tasks_.size() == steps_.tasks());
  }

  StepSize size(std::int64_t step) const override {
    const TaskSteps::Place place = steps_.place(step);
    return task(place.task).size(place.step);
  }
  Batch micro_batch(std::int64_t step, std::int64_t index) const override {
    const TaskSteps::Place place = steps_.place(step);
    return task(place.task).micro_batch(place.step, index);
  }

  const StepData& task(std::size_t index) const { return *tasks_.at(index); }

 private:
  std::vector<std::unique_ptr<StepData>> tasks_;
  TaskSteps steps_;
};

}  // namespace moesaic
