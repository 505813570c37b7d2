// The bootstrap (Efron 1979): how far a metric would vary with other items of the same kind.
#pragma once

#include <cstdint>
#include <vector>

#include "metrics/statistic.h"

namespace moesaic::metrics {

struct Interval {
  double low = 0, high = 0;
};

struct BootstrapOptions {
  std::int64_t samples = 1000;
  std::uint64_t seed = 0;
};

/// The percentile interval of 95 % of each statistic, over `samples` > 0 sets of as many items as
/// were added, drawn with replacement. The sets are the same for all statistics, and a function of
/// the seed and the number of items.
std::vector<Interval> bootstrap(const std::vector<const Statistic*>& statistics, std::size_t items,
                                const BootstrapOptions& options);

/// The quantile at `share` (0 to 1) of sorted values, linear between two of them.
double quantile(const std::vector<double>& sorted, double share);

}  // namespace moesaic::metrics
