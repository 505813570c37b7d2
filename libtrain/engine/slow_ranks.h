// SlowRanks: which ranks take longer than the others for the same work. Judged by windows of steps:
// only a rank that was slow in several windows one after the other is named. Arithmetic alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace moesaic {

/// Of one rank, in one window of steps.
struct RankTimes {
  double own_s = 0;        // for one micro-batch, without waits; NaN: it had none
  double wait_s = 0;       // that it was blocked in collectives meanwhile
  double expert_rows = 0;  // that its experts computed
};

class SlowRanks {
 public:
  static constexpr int kWindows = 3;        // one after the other, that name a rank
  static constexpr double kLeastS = 0.001;  // smaller differences are noise

  /// A rank is slow whose own time is at least `ratio` times the median of the others'.
  explicit SlowRanks(double ratio) : ratio_(ratio) {}

  /// The times of all ranks, in rank order. Returns the ranks that are named from now on.
  std::vector<int> add(const std::vector<RankTimes>& times);

  /// The slowest of those that are named.
  std::optional<int> slowest() const { return slowest_; }

 private:
  double ratio_;
  std::vector<int> in_a_row_;  // windows in which the rank was slow, up to now
  std::optional<int> slowest_;
};

/// The median of the other ranks' values; NaN values are left out, NaN where there are none. The
/// values are sorted: `sorted` has those that are not NaN, `value` among them or NaN.
double median_of_others(const std::vector<double>& sorted, double value);

/// Those that are not NaN, in ascending order.
std::vector<double> sorted_values(const std::vector<RankTimes>& times, double RankTimes::*member);

}  // namespace moesaic
