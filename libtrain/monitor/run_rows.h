// RunRows: what the rows of metrics.jsonl say of a run now, and what was counted on the way. A row
// may have any names, as those of other versions do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic {

class RunRows {
 public:
  /// Since this object was made; these never go back. A step that is trained again after a rewind
  /// or a restart counts once.
  struct Counts {
    std::int64_t rows = 0;
    std::int64_t skipped_steps = 0;   // whose update did not happen
    std::int64_t nonfinite_rows = 0;  // with a value that is not finite
    std::int64_t bad_lines = 0;       // that are no row
  };

  static constexpr std::size_t kMostNames = 1000;  // names beyond them are left out

  /// One line of the file. What is no row is counted, and nothing else.
  void add(std::string_view line);
  /// The rows so far are no longer in the file: it was cut back, or begun anew.
  void start_again();
  /// The rows so far are of an earlier job: they are not counted.
  void forget_counts();

  std::int64_t step() const { return step_; }  // of the newest row
  /// By name, the newest value of each; NaN where it is not finite.
  const std::map<std::string, double>& values() const { return values_; }
  /// The same of lists, such as the load of the experts of a layer.
  const std::map<std::string, std::vector<double>>& vectors() const { return vectors_; }
  const Counts& counts() const { return counts_; }

 private:
  std::int64_t step_ = 0;
  std::int64_t counted_step_ = 0;  // steps up to here are counted
  std::map<std::string, double> values_;
  std::map<std::string, std::vector<double>> vectors_;
  Counts counts_;
};

}  // namespace moesaic
