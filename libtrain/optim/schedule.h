// Learning-rate schedules: a pure function of the step.
#pragma once

#include <cstdint>
#include <string>

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

  explicit Schedule(const Options& options) : options_(options) {}

  /// Learning rate of step n, counted from 1. Warm-up: n / warmup_steps of the full rate, which
  /// step `warmup_steps` has; then down to min_ratio at step max_steps, and min_ratio beyond.
  double learning_rate(std::int64_t step) const;

 private:
  Options options_;
};

}  // namespace moesaic
