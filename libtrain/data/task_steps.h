// TaskSteps: how the steps of a run fall to its tasks, one after the other.
#pragma once

#include <cstdint>
#include <vector>

#include "core/error.h"

namespace moesaic {

class TaskSteps {
 public:
  struct Place {
    std::size_t task = 0;
    std::int64_t step = 0;  // of the task, from 0
    bool is_last = false;   // of the task
  };

  /// `steps`: how many each task has; one task at least, each with one step at least.
  explicit TaskSteps(std::vector<std::int64_t> steps) : steps_(std::move(steps)) {
    MOESAIC_ASSERT(!steps_.empty());
    for (const std::int64_t count : steps_) MOESAIC_ASSERT(count > 0);
  }

  /// Of step `step` of the run, from 0. Steps after the last task's are its own further ones.
  Place place(std::int64_t step) const {
    MOESAIC_ASSERT(step >= 0);
    std::size_t task = 0;
    while (task + 1 < steps_.size() && step >= steps_[task]) step -= steps_[task++];
    return {task, step, step + 1 == steps_[task]};
  }

  std::size_t tasks() const { return steps_.size(); }
  std::int64_t steps(std::size_t task) const { return steps_.at(task); }
  /// Of all tasks.
  std::int64_t total() const {
    std::int64_t sum = 0;
    for (const std::int64_t count : steps_) sum += count;
    return sum;
  }

 private:
  std::vector<std::int64_t> steps_;
};

}  // namespace moesaic
