#include "engine/slow_ranks.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moesaic {

std::vector<double> sorted_values(const std::vector<RankTimes>& times, double RankTimes::*member) {
  std::vector<double> values;
  for (const RankTimes& of_rank : times)
    if (!std::isnan(of_rank.*member)) values.push_back(of_rank.*member);
  std::sort(values.begin(), values.end());
  return values;
}

double median_of_others(const std::vector<double>& sorted, double value) {
  const std::size_t own = static_cast<std::size_t>(
      std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin());
  const bool is_there = !std::isnan(value) && own < sorted.size();
  const std::size_t count = sorted.size() - (is_there ? 1 : 0);
  if (count == 0) return std::numeric_limits<double>::quiet_NaN();
  const auto other = [&](std::size_t i) { return sorted[is_there && i >= own ? i + 1 : i]; };
  return (other((count - 1) / 2) + other(count / 2)) / 2;
}

std::vector<int> SlowRanks::add(const std::vector<RankTimes>& times) {
  in_a_row_.resize(times.size());
  const std::vector<double> sorted = sorted_values(times, &RankTimes::own_s);
  std::vector<int> new_ones;
  slowest_.reset();
  for (std::size_t rank = 0; rank < times.size(); ++rank) {
    const double own = times[rank].own_s;
    const double median = median_of_others(sorted, own);
    const bool slow = own >= ratio_ * median && own - median >= kLeastS;  // not with a NaN
    in_a_row_[rank] = slow ? in_a_row_[rank] + 1 : 0;
    if (in_a_row_[rank] < kWindows) continue;
    const int number = static_cast<int>(rank);
    if (in_a_row_[rank] == kWindows) new_ones.push_back(number);
    if (!slowest_ || own > times[static_cast<std::size_t>(*slowest_)].own_s) slowest_ = number;
  }
  return new_ones;
}

}  // namespace moesaic
