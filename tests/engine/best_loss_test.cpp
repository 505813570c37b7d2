#include "engine/best_loss.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"

namespace moesaic {
namespace {

TEST(BestLoss, CountsEvaluationsSinceTheLowest) {
  BestLoss best(2);
  EXPECT_FALSE(best.step());
  EXPECT_TRUE(best.add(10, 3.0));
  EXPECT_FALSE(best.add(20, 3.0));  // not lower
  EXPECT_FALSE(best.is_over());
  EXPECT_TRUE(best.add(30, 2.5));
  EXPECT_FALSE(best.add(40, 2.75));
  EXPECT_FALSE(best.add(50, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(best.is_over());
  EXPECT_EQ(best.step(), 30);
  EXPECT_EQ(best.loss(), 2.5);
}

TEST(BestLoss, WithoutPatienceNeverEndsARun) {
  BestLoss best(0);
  for (std::int64_t step = 1; step < 100; ++step) best.add(step, 1.0);
  EXPECT_FALSE(best.is_over());
}

TEST(BestLoss, GoesOnFromItsNote) {
  BestLoss best(3);
  EXPECT_TRUE(best.note().is_null());
  best.add(10, 0.1);
  best.add(20, 0.2);
  BestLoss other(3);
  other.restore(Json::parse(best.note().dump()));
  EXPECT_EQ(other.step(), 10);
  EXPECT_EQ(other.loss(), 0.1);
  EXPECT_FALSE(other.add(30, 0.1));
  EXPECT_FALSE(other.is_over());
  EXPECT_FALSE(other.add(40, 0.1));
  EXPECT_TRUE(other.is_over());
  other.restore(nullptr);
  EXPECT_FALSE(other.is_over());
  EXPECT_THROW(other.restore({{"step", "ten"}}), Error);
}

}  // namespace
}  // namespace moesaic
