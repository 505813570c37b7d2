// RunRows: what the rows of a run say of it now, and what was counted on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "observe/metrics.h"

namespace moesaic {

class RunRows {
 public:
  /// Since this object was made; these never go back. A step that is trained again after a rewind
  /// or a restart counts once.
  struct Counts {
    std::int64_t rows = 0;
    std::int64_t skipped_steps = 0;   // whose update did not happen
    std::int64_t loss_spikes = 0;
    std::int64_t nonfinite_rows = 0;  // with a value that is not finite
  };

  static constexpr std::size_t kMostNames = 1000;  // names beyond them are left out

  void add(const MetricsRow& row);
  /// The rows so far are no longer there: the file was cut back, or begun anew.
  void start_again();
  /// The rows so far are of an earlier job: they are not counted.
  void forget_counts();

  std::int64_t step() const { return step_; }  // of the newest row
  /// By name, the newest value of each.
  const std::map<std::string, double>& values() const { return values_; }
  /// The same of lists, such as the load of the experts of a layer.
  const std::map<std::string, std::vector<double>>& vectors() const { return vectors_; }
  const Counts& counts() const { return counts_; }

 private:
  void count(bool finite);
  std::int64_t counted_in_row(const char* name) const;

  std::int64_t step_ = 0;
  std::int64_t counted_step_ = 0;  // steps up to here are counted
  std::map<std::string, double> values_;
  std::map<std::string, std::vector<double>> vectors_;
  Counts counts_;
};

}  // namespace moesaic
