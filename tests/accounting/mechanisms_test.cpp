#include "accounting/mechanisms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "accounting/gaussian.h"
#include "accounting/pld.h"
#include "accounting/slots.h"

namespace moesaic::accounting {
namespace {

TEST(Mechanisms, BandedSensitivity) {
  EXPECT_NEAR(banded_sensitivity_squared(100, 1), 2.531352, 1e-6);
  EXPECT_NEAR(banded_sensitivity_squared(10, 10), 17.913439, 1e-6);
  EXPECT_NEAR(banded_sensitivity_squared(32, 10), 21.669754, 1e-6);
  EXPECT_EQ(banded_coefficients(5), (std::vector<double>{1, .5, .375, .3125, .2734375}));
}

TEST(Mechanisms, BandedRoundsComposeToTheWhole) {
  Event rounds = banded_event(4, 32);
  rounds.steps = 10;
  EXPECT_NEAR(pld_epsilon({rounds}, 1e-6), gaussian_epsilon(std::sqrt(21.669754) / 4, 1e-6), 1e-6);
}

TEST(Mechanisms, NoiseOfAdaptiveClippingIsSplit) {
  EXPECT_NEAR(gradient_noise_multiplier(1, 10), 1.001252, 1e-6);
  EXPECT_NEAR(gradient_noise_multiplier(0.8, 5), 0.802572, 1e-6);
  EXPECT_NEAR(gradient_noise_multiplier(1.1, 2), 1.144112, 1e-6);
  EXPECT_THROW(gradient_noise_multiplier(1, 0.5), Error);
}

// Tails by adding up Pascal's triangle.
TEST(Slots, TailIsThatOfTheBinomial) {
  const double rate = 0.3;
  std::vector<double> mass{1};
  for (int n = 1; n <= 40; ++n) {
    std::vector<double> next(mass.size() + 1);
    for (std::size_t k = 0; k < mass.size(); ++k) {
      next[k] += mass[k] * (1 - rate);
      next[k + 1] += mass[k] * rate;
    }
    mass = next;
  }
  double tail = 0;
  for (int k = 40; k > 12; --k) {
    tail += mass[static_cast<std::size_t>(k)];
    EXPECT_NEAR(overflow_probability(40, rate, k) / tail, 1, 1e-10) << k;
  }
  EXPECT_EQ(overflow_probability(40, rate, 41), 0);
  EXPECT_EQ(overflow_probability(40, rate, 0), 1);
  EXPECT_GE(overflow_probability(40, rate, 12), tail);  // at or below the mean: 1, a bound
}

TEST(Slots, TheLeastNumberIsFound) {
  for (const double bound : {1e-6, 1e-12, 1e-20}) {
    const std::int64_t slots = slots_for(1'000'000, 6.4e-5, bound);
    EXPECT_LE(overflow_probability(1'000'000, 6.4e-5, slots), bound);
    EXPECT_GT(overflow_probability(1'000'000, 6.4e-5, slots - 1), bound);
  }
  EXPECT_EQ(slots_for(10, 1, 1e-12), 11);
  EXPECT_EQ(slots_for(0, 0.5, 1e-12), 1);
}

}  // namespace
}  // namespace moesaic::accounting
