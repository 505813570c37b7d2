#include "aggregate/robust.h"

#include <gtest/gtest.h>

#include <vector>

namespace moesaic::aggregate {
namespace {

using Values = std::vector<double>;

TEST(Robust, MediansAndTrimmedMeansByHand) {
  Values odd = {5, 1, 3}, even = {8, 1, 3, 4}, trimmed = {100, 1, 2, 3, -50};
  EXPECT_EQ(median(odd), 3);
  EXPECT_EQ(median(even), 3.5);
  EXPECT_EQ(trimmed_mean(trimmed, 0.2), 2);
  Values all = {1, 2, 6};
  EXPECT_EQ(trimmed_mean(all, 0.2), 3);  // floor(0.6) = 0 are cut
}

TEST(Robust, MeanOfTheValuesNearTheMedian) {
  Values values = {10, 0, 1, 2, -100};
  EXPECT_EQ(mean_near_median(values, 3), 1);  // 0 1 2
  Values one = {7, 9, 4};
  EXPECT_EQ(mean_near_median(one, 1), 7);
}

/// Squared distances of points on a line.
Values distances(const Values& points) {
  Values squared;
  for (const double a : points)
    for (const double b : points) squared.push_back((a - b) * (a - b));
  return squared;
}

TEST(Robust, KrumTakesTheSiloAmongItsNeighbours) {
  // f = 1: each score is that of the 2 nearest others: 1+4, 1+1, 1+4, 9+16, large.
  const Values squared = distances({0, 1, 2, 5, 100});
  EXPECT_EQ(krum(squared, 5, 1, 1), (std::vector<std::size_t>{1}));
  EXPECT_EQ(krum(squared, 5, 1, 4), (std::vector<std::size_t>{1, 0, 2, 3}));
}

TEST(Robust, BulyanLeavesTheHostileOnesToTheLast) {
  const Values squared = distances({0, 1, 2, 3, 4, 5, 1000});
  const std::vector<std::size_t> chosen = bulyan_choice(squared, 7, 1);
  EXPECT_EQ(chosen.size(), 5U);
  for (const std::size_t k : chosen) EXPECT_NE(k, 6U);
}

}  // namespace
}  // namespace moesaic::aggregate
