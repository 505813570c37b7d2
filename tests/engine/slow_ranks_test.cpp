#include "engine/slow_ranks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace moesaic {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::vector<RankTimes> own_times(const std::vector<double>& seconds) {
  std::vector<RankTimes> times;
  for (const double own : seconds) times.push_back({.own_s = own});
  return times;
}

TEST(MedianOfOthers, LeavesTheValueItselfOut) {
  EXPECT_EQ(median_of_others({1, 2, 3, 10}, 10), 2);
  EXPECT_EQ(median_of_others({1, 2, 3, 10}, 1), 3);
  EXPECT_EQ(median_of_others({1, 2, 3}, 2), 2);
  EXPECT_EQ(median_of_others({1, 1}, 1), 1);
  EXPECT_EQ(median_of_others({4, 6}, kNone), 5);
  EXPECT_TRUE(std::isnan(median_of_others({4}, 4)));
  EXPECT_TRUE(std::isnan(median_of_others({}, kNone)));
}

TEST(SlowRanks, NamesARankThatIsSlowInSeveralWindowsOfTwoRanksOrMore) {
  for (const std::size_t ranks : {2U, 3U, 4U, 9U}) {
    SlowRanks slow(1.5);
    std::vector<double> seconds(ranks, 0.1);
    seconds[1] = 0.16;
    for (int window = 1; window < SlowRanks::kWindows; ++window)
      EXPECT_TRUE(slow.add(own_times(seconds)).empty());
    EXPECT_FALSE(slow.slowest());
    EXPECT_EQ(slow.add(own_times(seconds)), std::vector<int>{1}) << ranks;
    EXPECT_EQ(slow.slowest(), 1);
    EXPECT_TRUE(slow.add(own_times(seconds)).empty());  // it was named
    EXPECT_EQ(slow.slowest(), 1);
    seconds[1] = 0.11;
    slow.add(own_times(seconds));
    EXPECT_FALSE(slow.slowest());
  }
}

TEST(SlowRanks, ASlowMomentNamesNobody) {
  SlowRanks slow(1.5);
  for (int window = 0; window < 40; ++window) {
    std::vector<double> seconds(4, 0.1);
    seconds[static_cast<std::size_t>(window / 2) % 4] = 0.5;  // two windows each
    EXPECT_TRUE(slow.add(own_times(seconds)).empty()) << window;
  }
}

TEST(SlowRanks, NamesSeveralAndTellsTheSlowest) {
  SlowRanks slow(1.5);
  std::vector<int> named;
  for (int window = 0; window < SlowRanks::kWindows; ++window)
    named = slow.add(own_times({0.1, 0.3, 0.1, 0.4, 0.1}));
  EXPECT_EQ(named, (std::vector<int>{1, 3}));
  EXPECT_EQ(slow.slowest(), 3);
}

TEST(SlowRanks, LeavesOutRanksWithoutAMicroBatchAndDifferencesThatAreNoise) {
  SlowRanks slow(1.5), noise(1.5), alone(1.5);
  for (int window = 0; window < 5; ++window) {
    slow.add(own_times({kNone, 0.3, kNone, 0.1}));
    noise.add(own_times({0.0005, 0.0014}));
    alone.add(own_times({0.3, kNone}));
  }
  EXPECT_EQ(slow.slowest(), 1);
  EXPECT_FALSE(noise.slowest());
  EXPECT_FALSE(alone.slowest());
}

}  // namespace
}  // namespace moesaic
