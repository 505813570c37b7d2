#include "observe/progress.h"

#include <algorithm>

namespace moesaic {

void Progress::update(std::int64_t step, double seconds) {
  if (!seen_.empty() && step <= seen_.back().first) seen_.clear();  // another run
  seen_.emplace_back(step, seconds);
  if (seen_.size() > kWindow) seen_.pop_front();
}

std::optional<double> Progress::seconds_per_step() const {
  if (seen_.size() < 2) return std::nullopt;
  const auto& [first_step, first_seconds] = seen_.front();
  const auto& [last_step, last_seconds] = seen_.back();
  return (last_seconds - first_seconds) / static_cast<double>(last_step - first_step);
}

std::optional<double> Progress::remaining_seconds(std::int64_t last_step) const {
  const std::optional<double> pace = seconds_per_step();
  if (!pace) return std::nullopt;
  return *pace * static_cast<double>(std::max<std::int64_t>(0, last_step - seen_.back().first));
}

}  // namespace moesaic
