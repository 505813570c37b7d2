#include "metrics/bootstrap.h"

#include <algorithm>

#include "core/random.h"

namespace moesaic::metrics {
namespace {

constexpr double kTail = 0.025;  // on each side

// How often each item is drawn.
std::vector<std::uint32_t> resample(std::size_t items, const RandomKey& key) {
  std::vector<std::uint32_t> times(items);
  for (std::size_t i = 0; i < items; ++i) {
    const double place = key.uniform(i) * static_cast<double>(items);
    ++times[std::min(static_cast<std::size_t>(place), items - 1)];
  }
  return times;
}

}  // namespace

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::vector<Interval> bootstrap(const std::vector<const Statistic*>& statistics, std::size_t items,
                                const BootstrapOptions& options) {
  std::vector<std::vector<double>> values(statistics.size());
  for (std::int64_t s = 0; s < options.samples; ++s) {
    const RandomKey key(options.seed, RandomStream::kSample, static_cast<std::uint64_t>(s),
                        "bootstrap");
    const std::vector<std::uint32_t> times = resample(items, key);
    for (std::size_t m = 0; m < statistics.size(); ++m)
      values[m].push_back(statistics[m]->value(times));
  }
  std::vector<Interval> intervals;
  for (std::vector<double>& sorted : values) {
    std::sort(sorted.begin(), sorted.end());
    intervals.push_back({quantile(sorted, kTail), quantile(sorted, 1 - kTail)});
  }
  return intervals;
}

}  // namespace moesaic::metrics
