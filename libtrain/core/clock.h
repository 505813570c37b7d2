// Time: a monotonic stopwatch and readable UTC stamps. Never decides what a number is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace moesaic {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  /// Seconds since the start or the last lap.
  double lap() {
    const double passed = seconds();
    start_ = std::chrono::steady_clock::now();
    return passed;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// On the monotonic clock, whose zero differs from machine to machine.
std::int64_t monotonic_ns();

/// "2026-01-31T12:00:00.123Z"
std::string utc_time();

/// Seconds since 1970, with fractions.
double unix_time();

/// "1:02:03" or "4:05"
std::string readable_duration(double seconds);

}  // namespace moesaic
