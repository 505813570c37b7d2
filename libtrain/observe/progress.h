// Rate and remaining time from the moments at which steps were seen.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace moesaic {

class Progress {
 public:
  /// `seconds` on any monotonic clock. Steps may skip, and start anywhere.
  void update(std::int64_t step, double seconds);

  /// Over the last `kWindow` updates, so that a pause or a change of speed is forgotten in time;
  /// nothing before the second update.
  std::optional<double> seconds_per_step() const;

  /// Until `last_step`; 0 when it has passed.
  std::optional<double> remaining_seconds(std::int64_t last_step) const;

 private:
  static constexpr std::size_t kWindow = 20;
  std::deque<std::pair<std::int64_t, double>> seen_;
};

}  // namespace moesaic
