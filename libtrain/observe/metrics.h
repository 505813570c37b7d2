// One row of metrics and where rows go. Fields that were measured end in _s, _ms, _per_s, _mb or
// _bytes; all others repeat bit for bit under the same recipe, seed and layout.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"

namespace moesaic {

struct MetricsRow {
  std::int64_t step = 0;                               // finished optimizer steps
  std::vector<std::pair<std::string, double>> values;  // in order of writing
  std::vector<std::pair<std::string, std::vector<double>>>
      vectors;  // e.g. load per expert of a layer

  void set(const std::string& name, double value) { values.emplace_back(name, value); }
  const double* find(const std::string& name) const;
};

/// A sink is used by the chief only.
class MetricsSink {
 public:
  virtual ~MetricsSink() = default;
  virtual void write(const MetricsRow& row) = 0;
  /// Rows after this step are about to be written again.
  virtual void rewind(std::int64_t /*step*/) {}
};

}  // namespace moesaic
