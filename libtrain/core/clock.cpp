#include "core/clock.h"

#include <cmath>
#include <ctime>

#include "core/format.h"

namespace moesaic {

std::int64_t monotonic_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string utc_time() {
  const double now = unix_time();
  const auto whole = static_cast<std::time_t>(now);
  std::tm parts{};
  gmtime_r(&whole, &parts);
  char buffer[32];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%S", &parts);
  return format("{}.{:03d}Z", buffer, static_cast<int>((now - std::floor(now)) * 1000));
}

std::string readable_duration(double seconds) {
  const auto s = static_cast<long long>(std::max(0.0, std::round(seconds)));
  if (s >= 3600) return format("{}:{:02d}:{:02d}", s / 3600, s / 60 % 60, s % 60);
  return format("{}:{:02d}", s / 60, s % 60);
}

}  // namespace moesaic
