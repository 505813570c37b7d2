// RunMetrics: the metrics of a run that may be going on, thinned so that their number does not
// matter.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "observe/load_history.h"
#include "observe/metrics.h"
#include "observe/metrics_reader.h"
#include "observe/thinned_curve.h"

namespace moesaic {

class RunMetrics {
 public:
  static constexpr std::size_t kMostCurves = 1000;

  /// Nothing is read yet.
  explicit RunMetrics(const std::string& metrics_file) : reader_(metrics_file) {}

  /// Reads the rows that have come since, or all again where the file is another one. Error(kData)
  /// when it cannot be read.
  void update();

  /// The names of all values, in the order in which they came.
  const std::vector<std::string>& names() const { return names_; }
  /// nullptr when no row has that value.
  const ThinnedCurve* find(const std::string& name) const;
  const LoadHistory& loads() const { return loads_; }
  /// The newest row; step 0 before the first.
  const MetricsRow& newest() const { return newest_; }
  std::int64_t rows() const { return reader_.found().rows; }
  /// What was left out, in words.
  std::vector<std::string> remarks() const;

 private:
  void begin();
  void take(const MetricsRow& row);

  MetricsReader reader_;
  std::vector<std::string> names_;
  std::map<std::string, ThinnedCurve> curves_;
  bool too_many_ = false;  // names
  LoadHistory loads_;
  MetricsRow newest_;
};

}  // namespace moesaic
