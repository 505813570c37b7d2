#include "observe/progress.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

TEST(Progress, KnowsNothingBeforeTheSecondUpdate) {
  Progress progress;
  EXPECT_FALSE(progress.seconds_per_step());
  progress.update(100, 7.0);
  EXPECT_FALSE(progress.seconds_per_step());
  EXPECT_FALSE(progress.remaining_seconds(200));
}

TEST(Progress, CountsFromWhereverItStarts) {
  Progress progress;
  progress.update(100, 7.0);
  progress.update(110, 12.0);
  EXPECT_DOUBLE_EQ(*progress.seconds_per_step(), 0.5);
  EXPECT_DOUBLE_EQ(*progress.remaining_seconds(200), 45.0);
  EXPECT_DOUBLE_EQ(*progress.remaining_seconds(50), 0.0);
}

TEST(Progress, ForgetsAnOldPace) {
  Progress progress;
  double now = 0;
  for (int step = 1; step <= 30; ++step) progress.update(step, now += 10.0);
  for (int step = 31; step <= 60; ++step) progress.update(step, now += 1.0);
  EXPECT_DOUBLE_EQ(*progress.seconds_per_step(), 1.0);
}

TEST(Progress, StartsAgainWhenStepsGoBack) {
  Progress progress;
  progress.update(10, 1.0);
  progress.update(20, 2.0);
  progress.update(5, 3.0);
  EXPECT_FALSE(progress.seconds_per_step());
}

}  // namespace
}  // namespace moesaic
