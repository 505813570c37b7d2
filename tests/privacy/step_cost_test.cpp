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

// Old data among the new: each step costs what its largest rate costs.
TEST(StepCost, OfTwoRatesIsThatOfTheLarger) {
  UnitDraws::Options draws{.units = 1000, .rate = 0.01, .slots = 90};
  draws.others = {.units = 100, .rate = 0.05};
  const StepCost cost = step_cost(with_noise(1.5), draws, 50);
  EXPECT_EQ(cost.charge.sampling_rate, 0.05);
  draws.rate = 0.3;
  EXPECT_EQ(step_cost(with_noise(1.5), draws, 50).charge.sampling_rate, 0.3);

  PrivacyOptions banded = with_noise(2);
  banded.mechanism = "banded_matrix";
  banded.bands = 4;
  draws.turns = 100;
  draws.others.turns = 20;  // in 20 steps no unit comes twice
  EXPECT_EQ(step_cost(banded, draws, 250).steps, 20);
}

// How many units of two rates are drawn: by the sum over both numbers.
TEST(StepCost, TheSlotsOfTwoRatesOverflowNoMoreThanIsCharged) {
  UnitDraws::Options draws{.units = 12, .rate = 0.1, .slots = 6};
  draws.others = {.units = 4, .rate = 0.6};
  const auto chance = [](std::int64_t n, double rate, std::int64_t k) {
    double value = std::pow(rate, k) * std::pow(1 - rate, n - k);
    for (std::int64_t i = 0; i < k; ++i)
      value *= static_cast<double>(n - i) / static_cast<double>(i + 1);
    return value;
  };
  for (const std::int64_t slots : {5, 6, 7, 8, 10}) {
    double exact = 0;
    for (std::int64_t a = 0; a <= 8; ++a)
      for (std::int64_t b = 0; b <= 4; ++b)
        if (a + b >= slots) exact += chance(8, 0.1, a) * chance(4, 0.6, b);
    draws.slots = slots;
    const double charged = step_cost(with_noise(1.5), draws, 50).charge.overflow;
    EXPECT_GE(charged, exact) << slots;
    EXPECT_GT(exact, 0) << slots;
  }
}

// Tasks: one noise, such that all of them together cost the target.
TEST(StepCost, OfTasksFindsOneNoise) {
  PrivacyOptions privacy = with_noise(1);
  privacy.noise_multiplier.reset();
  privacy.target_epsilon = 3;
  const std::vector<DrawnSteps> tasks = {{{.units = 1000, .rate = 0.01, .slots = 90}, 400},
                                         {{.units = 200, .rate = 0.05, .slots = 90}, 100}};
  std::vector<StepCost> costs = step_costs(privacy, tasks);
  ASSERT_EQ(costs.size(), 2U);
  EXPECT_EQ(costs[0].noise_multiplier, costs[1].noise_multiplier);
  EXPECT_EQ(costs[0].charge.sampling_rate, 0.01);
  EXPECT_EQ(costs[1].charge.sampling_rate, 0.05);
  accounting::Events all;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    costs[i].charge.steps = tasks[i].steps;
    all.push_back(costs[i].charge);
  }
  const double epsilon = accounting::epsilon_of(all, 1e-5, accounting::Accountant::kPld).value;
  EXPECT_LE(epsilon, 3);
  EXPECT_GT(epsilon, 2.99);
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
