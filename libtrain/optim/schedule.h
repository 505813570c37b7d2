// Learning-rate schedules: a pure function of the step.
#pragma once

#include <cstdint>
#include <string>

#include "data/task_steps.h"

namespace moesaic {

class Schedule {
 public:
  struct Options {
    std::string type = "cosine";  // cosine | linear | constant
    double learning_rate = 3e-4;
    std::int64_t warmup_steps = 0;
    std::int64_t max_steps = 1;
    double min_ratio = 0.1;  // reached at the last step
  };

  /// The whole run has one course of `options.max_steps`.
  explicit Schedule(const Options& options) : Schedule(options, TaskSteps({options.max_steps})) {}
  /// Each task has the whole course, over its own steps.
  Schedule(const Options& options, TaskSteps tasks) : options_(options), tasks_(std::move(tasks)) {}

  /// Learning rate of step n, counted from 1. Warm-up: n / warmup_steps of the full rate, which
  /// step `warmup_steps` has; then down to min_ratio at step max_steps, and min_ratio beyond.
  double learning_rate(std::int64_t step) const;

 private:
  Options options_;
  TaskSteps tasks_;
};

}  // namespace moesaic
