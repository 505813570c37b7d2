#include "privacy/step_cost.h"

#include <gtest/gtest.h>

#include <cmath>

#include "accounting/accountant.h"
#include "core/error.h"

namespace moesaic {
namespace {

PrivacyOptions with_noise(double multiplier) {
  PrivacyOptions privacy;
  privacy.noise_multiplier = multiplier;
  privacy.expected_batch_size = 10;
  privacy.delta = 1e-5;
  return privacy;
}

TEST(StepCost, OfADrawIsThatOfItsRateAndItsSlots) {
  const StepCost cost = step_cost(with_noise(1.5), {.units = 1000, .rate = 0.01, .slots = 60}, 50);
  EXPECT_EQ(cost.noise_multiplier, 1.5);
  EXPECT_EQ(cost.charge.noise_multiplier, 1.5);
  EXPECT_EQ(cost.charge.sampling_rate, 0.01);
  EXPECT_EQ(cost.charge.steps, 1);
  EXPECT_EQ(cost.steps, 1);
  EXPECT_LT(cost.charge.overflow, 1e-11);
  const StepCost tight = step_cost(with_noise(1.5), {.units = 1000, .rate = 0.01, .slots = 10}, 50);
  EXPECT_GT(tight.charge.overflow, 0.3);
}

TEST(StepCost, FindsTheNoiseOfATarget) {
  PrivacyOptions privacy = with_noise(1);
  privacy.noise_multiplier.reset();
  privacy.target_epsilon = 3;
  StepCost cost = step_cost(privacy, {.units = 1000, .rate = 0.01, .slots = 90}, 1000);
  EXPECT_NEAR(cost.noise_multiplier, 0.81359, 0.002);
  cost.charge.steps = 1000;
  EXPECT_LE(accounting::epsilon_of({cost.charge}, 1e-5, accounting::Accountant::kPld).value, 3);
}

// Four bands: 1 + 1/4 + 9/64 + 25/256 is the squared length of a column.
TEST(StepCost, OfBandsIsPaidByTheRound) {
  PrivacyOptions privacy = with_noise(2);
  privacy.mechanism = "banded_matrix";
  privacy.bands = 4;
  const UnitDraws::Options draws{.units = 1000, .rate = 0.01, .turns = 100, .slots = 90};
  const StepCost cost = step_cost(privacy, draws, 250);
  const double column = std::sqrt(1 + 1.0 / 4 + 9.0 / 64 + 25.0 / 256);
  EXPECT_EQ(cost.steps, 100);
  EXPECT_EQ(cost.noise_multiplier, 2);
  EXPECT_NEAR(cost.charge.noise_multiplier, 2 / column, 1e-12);
  EXPECT_EQ(cost.charge.sampling_rate, 1);

  privacy.noise_multiplier.reset();
  privacy.target_epsilon = 5;
  StepCost wanted = step_cost(privacy, draws, 250);
  EXPECT_NEAR(wanted.noise_multiplier, wanted.charge.noise_multiplier * column, 1e-9);
  wanted.charge.steps = 3;  // rounds
  const double epsilon =
      accounting::epsilon_of({wanted.charge}, 1e-5, accounting::Accountant::kPld).value;
  EXPECT_LE(epsilon, 5);
  EXPECT_GT(epsilon, 4.9);
}

TEST(StepCost, IsForRunsWithNoiseAndABound) {
  PrivacyOptions privacy = with_noise(1);
  EXPECT_TRUE(is_private(privacy));
  privacy.noise_multiplier = 0;
  EXPECT_FALSE(is_private(privacy));
  privacy.noise_multiplier = 1;
  privacy.clip_norm = 0;
  EXPECT_FALSE(is_private(privacy));
}

}  // namespace
}  // namespace moesaic
