#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace moesaic {

double Schedule::learning_rate(std::int64_t number) const {
  const auto& o = options_;
  const TaskSteps::Place place = tasks_.place(std::max<std::int64_t>(0, number - 1));
  const std::int64_t step = place.step + 1, max_steps = tasks_.steps(place.task);
  if (step < o.warmup_steps)
    return o.learning_rate * static_cast<double>(step) / static_cast<double>(o.warmup_steps);
  if (o.type == "constant") return o.learning_rate;
  const double span = static_cast<double>(std::max<std::int64_t>(1, max_steps - o.warmup_steps));
  const double progress = std::clamp(static_cast<double>(step - o.warmup_steps) / span, 0.0, 1.0);
  const double shape =
      o.type == "linear" ? 1 - progress : 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return o.learning_rate * (o.min_ratio + (1 - o.min_ratio) * shape);
}

}  // namespace moesaic
