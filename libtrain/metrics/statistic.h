// Statistic: a number about a set of items, and about any resampling of it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "metrics/labels.h"

namespace moesaic::metrics {

class Statistic {
 public:
  virtual ~Statistic() = default;

  /// Of all items, each as often as `sample` says; at least one must count.
  virtual double value(Sample sample) const = 0;
};

/// shown(sum of `sums` / sum of `weights`), both by item; `shown` nullptr: the ratio itself.
std::shared_ptr<const Statistic> ratio(std::vector<double> sums, std::vector<double> weights,
                                       double (*shown)(double) = nullptr);

/// A result of `moesaic eval`, and what of it can be said of any resampling of its items.
struct Measurement {
  Json result;
  std::size_t items = 0;
  std::vector<std::pair<std::string, std::shared_ptr<const Statistic>>> statistics;
};

}  // namespace moesaic::metrics
