// Values of Opacus 1.6.0 and dp-accounting 0.6.0; tests/parity/accounting_test.py asks them anew.
#include "accounting/accountant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>

#include "accounting/gaussian.h"
#include "accounting/normal.h"
#include "accounting/pld.h"
#include "accounting/rdp.h"

namespace moesaic::accounting {
namespace {

struct Row {
  Events events;
  double delta;
  double rdp;    // of Opacus
  double order;  // 0: not known
  double
      fine;  // PLD of dp-accounting on a fine grid, where it was computed; else the next, less 2e-4
  double pld;  // PLD of dp-accounting, interval 1e-4
};

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = {
      {{{1.0, 0.01, 1000}}, 1e-5, 2.101365, 7.8, 1.828237, 1.828244},
      {{{1.1, 256.0 / 60000, 14100}}, 1e-5, 2.600343, 8.1, 2.385011, 2.385211},
      {{{0.8, 0.01, 1000}}, 1e-5, 3.695429, 4.8, 3.140818, 3.141018},
      {{{0.6, 0.004, 2000}}, 1e-6, 6.361265, 3.5, 5.375989, 5.376189},
      {{{1.0, 1, 1}}, 1e-5, 4.728507, 5.4, 4.377177, 4.377178},
      {{{4.0, 1, 100}}, 1e-5, 14.132226, 2.8, 13.206711, 13.206712},
      {{{2.0, 0.05, 500}}, 1e-5, 2.768585, 7.6, 2.531834, 2.532034},
      {{{0.5, 0.001, 10000}}, 1e-6, 7.569660, 3.0, 6.345937, 6.346137},
      {{{1.3, 0.02, 3000}}, 1e-5, 4.827534, 5.1, 4.439172, 4.439372},
      {{{10, 0.5, 1000}}, 1e-6, 8.893331, 4.1, 8.346726, 8.346926},
      {{{0.7, 1024.0 / 67349, 198}}, 1 / (2 * 67349.0), 4.717309, 3.7, 3.877055, 3.877255},
      {{{5.0, 0.1, 100}}, 1e-3, 0.552750, 15, 0.469074, 0.469274},
      {{{1.0, 1e-4, 100000}}, 1e-8, 0.888512, 18, 0.19936, 0.19936},  // at 1e-4 it is 0.2094
      {{{20, 0.5, 200}}, 1e-5, 1.484517, 13, 1.361351, 1.361551},
      {{{1, 0.01, 500}, {0.8, 0.02, 300}, {1.5, 0.01, 1000}},
       1e-5,
       4.762917,
       0,
       4.096493,
       4.096693}};
  return kRows;
}

TEST(Accountant, RdpIsThatOfOpacus) {
  for (const Row& row : rows()) {
    const Bound bound = rdp_epsilon(row.events, row.delta);
    EXPECT_NEAR(bound.value, row.rdp, 1e-5);
    if (row.order > 0) {
      EXPECT_NEAR(bound.order.value_or(0), row.order, 1e-9);
    }
    EXPECT_FALSE(bound.at_edge);
    EXPECT_NEAR(rdp_delta(row.events, bound.value).value / row.delta, 1, 1e-9);
  }
}

TEST(Accountant, PldIsTightAndNeverBelowDpAccounting) {
  for (const Row& row : rows()) {
    const std::clock_t start = std::clock();
    const double epsilon = pld_epsilon(row.events, row.delta);
    EXPECT_GE(epsilon, row.fine) << row.pld;
    EXPECT_LE(epsilon, row.pld + 0.002);
#ifndef __SANITIZE_ADDRESS__
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 1.0) << row.pld;
#endif
  }
}

TEST(Accountant, DeltaIsThatOfDpAccounting) {
  const Events events = rows()[0].events;
  EXPECT_NEAR(pld_delta(events, 2) / 2.66572e-6, 1, 1e-3);
  EXPECT_NEAR(pld_delta(events, 3) / 9.2227e-10, 1, 1e-3);
  const double tiny = pld_delta(events, 6);  // far below the rounding errors of a plain transform
  EXPECT_GT(tiny, 0);
  EXPECT_NEAR(pld_epsilon(events, tiny), 6, 1e-3);
}

// One step: delta is an integral over x, here by the trapezoid rule.
TEST(Accountant, PldOfOneStepIsTheIntegral) {
  for (const Event event : {Event{0.7, 0.2, 1}, Event{2, 0.01, 1}, Event{1, 0.9, 1}}) {
    const double s = event.noise_multiplier;
    const double q = event.sampling_rate;
    for (const double epsilon : {0.01, 0.1, 0.5}) {
      double removed = 0;
      double added = 0;
      for (double x = -12 * s; x < 12 * s + 1; x += 1e-4) {
        const double without = std::exp(-x * x / (2 * s * s));
        const double with = (1 - q) * without + q * std::exp(-(x - 1) * (x - 1) / (2 * s * s));
        removed += std::max(with - std::exp(epsilon) * without, 0.0);
        added += std::max(without - std::exp(epsilon) * with, 0.0);
      }
      const double expected = std::max(removed, added) * 1e-4 / (s * std::sqrt(2 * M_PI));
      EXPECT_NEAR(pld_delta({event}, epsilon), expected, 1e-3 * expected + 1e-9);
    }
  }
}

TEST(Accountant, AUnitThatIsInNoStepIsNotSeen) {
  EXPECT_EQ(pld_epsilon({{0.01, 1e-9, 1000}}, 1e-5), 0);
  EXPECT_GT(pld_epsilon({{0.5, 1e-6, 20}}, 1e-5), 0);
}

// Where one cell of a coarse grid holds all that delta falls by, its end is no answer.
TEST(Accountant, PldOfFewStepsIsTightToo) {
  const double of_one = pld_epsilon({{14.759734, 0.06477, 1}}, 9.8e-8);
  EXPECT_GE(of_one, 0.0186);
  EXPECT_LE(of_one, 0.018647 + 0.0005);  // dp-accounting at 1e-4
  const double large = pld_epsilon({{0.5, 0.5, 80}}, 1e-5);
  EXPECT_NEAR(large, 116.85395, 0.001);
}

TEST(Accountant, GaussianIsExact) {
  EXPECT_NEAR(epsilon_of({{1, 1, 1}}, 1e-5, Accountant::kPld).value, 4.377178, 1e-6);
  EXPECT_NEAR(epsilon_of({{4, 1, 100}}, 1e-5, Accountant::kPld).value, 13.206712, 1e-6);
  // 30 steps and 70 with twice the noise: mu^2 = 30 + 70 / 4.
  EXPECT_NEAR(pld_epsilon({{1, 1, 30}, {2, 1, 70}}, 1e-5), gaussian_epsilon(std::sqrt(47.5), 1e-5),
              1e-9);
  EXPECT_NEAR(gaussian_delta(1, 1), normal_cdf(-0.5) - std::exp(1) * normal_cdf(-1.5), 1e-15);
  EXPECT_EQ(gaussian_epsilon(1e-9, 0.1), 0);
}

TEST(Accountant, LogOfNormalIsSmooth) {
  for (double z = -29.999; z < 8; z += 0.5)
    EXPECT_NEAR(log_normal_cdf(z), std::log(normal_cdf(z)), 1e-12);
  EXPECT_NEAR(log_normal_cdf(-30.0), log_normal_cdf(-29.9999999), 1e-5);
  EXPECT_NEAR(log_normal_cdf(-100), -5005.524208694205, 1e-8);  // scipy.special.log_ndtr
}

// Sampled and whole releases together: not below the whole ones alone, nor above the sum.
TEST(Accountant, SampledAndWholeCompose) {
  const Events sampled = {{1, 0.01, 100}};
  const Events whole = {{5, 1, 1}};
  const double both = pld_epsilon({sampled[0], whole[0]}, 1e-5);
  EXPECT_GT(both, pld_epsilon(whole, 1e-5));
  EXPECT_GT(both, pld_epsilon(sampled, 1e-5));
  EXPECT_LT(both, pld_epsilon(whole, 5e-6) + pld_epsilon(sampled, 5e-6));
  EXPECT_NEAR(pld_epsilon({{2, 0.999999999, 1}}, 1e-5), gaussian_epsilon(0.5, 1e-5), 1e-3);
}

TEST(Accountant, OverflowIsAddedToDelta) {
  const Event plain{1, 0.01, 1000};
  Event bounded = plain;
  bounded.overflow = 1e-10;  // 1e-7 in all
  for (const Accountant accountant : {Accountant::kPld, Accountant::kRdp}) {
    const double with = epsilon_of({bounded}, 1e-5, accountant).value;
    EXPECT_GT(with, epsilon_of({plain}, 1e-5, accountant).value);
    EXPECT_NEAR(with, epsilon_of({plain}, 1e-5 - 1e-7, accountant).value, 2e-4);
    bounded.overflow = 1e-8;
    EXPECT_TRUE(std::isinf(epsilon_of({bounded}, 1e-5, accountant).value));
    bounded.overflow = 1e-10;
  }
}

TEST(Accountant, NoiseReachesItsEpsilon) {
  struct Wanted {
    double rate, steps, delta, epsilon, rdp, pld;
  };
  for (const Wanted& w : {Wanted{0.01, 1000, 1e-5, 8, 0.61572, 0.58627},
                          Wanted{0.01, 1000, 1e-5, 3, 0.86461, 0.81359},
                          Wanted{0.01, 1000, 1e-5, 1, 1.51321, 1.41464},
                          Wanted{1024.0 / 67349, 198, 7.424e-6, 3, 0.82540, 0.76488}}) {
    Event event{1, w.rate, static_cast<std::int64_t>(w.steps)};
    for (const Accountant accountant : {Accountant::kPld, Accountant::kRdp}) {
      const double noise = noise_multiplier_for(event, w.epsilon, w.delta, accountant);
      const double expected = accountant == Accountant::kPld ? w.pld : w.rdp;
      EXPECT_NEAR(noise, expected, 1e-4);
      event.noise_multiplier = noise;
      const double epsilon = epsilon_of({event}, w.delta, accountant).value;
      EXPECT_LE(epsilon, w.epsilon);
      EXPECT_NEAR(epsilon, w.epsilon, 1e-3);
    }
  }
}

TEST(Accountant, WhatNoNoiseReachesIsRefused) {
  EXPECT_THROW(noise_multiplier_for({1, 0.01, 10}, 0.01, 1e-5, Accountant::kRdp), Error);
  EXPECT_THROW(noise_multiplier_for({1, 0.01, 10, 1e-3}, 8, 1e-5, Accountant::kPld), Error);
  const double noise = noise_multiplier_for({1, 1, 1}, 0.01, 1e-5, Accountant::kPld);
  EXPECT_LE(gaussian_delta(1 / noise, 0.01), 1e-5);
  EXPECT_GT(gaussian_delta(1.01 / noise, 0.01), 1e-5);
}

// A bound at all sizes of noise and numbers of steps, within a second.
TEST(Accountant, ExtremesHaveAnAnswer) {
  EXPECT_EQ(epsilon_of({}, 1e-5, Accountant::kPld).value, 0);
  for (const Event event :
       {Event{0.02, 0.5, 10}, Event{0.1, 1e-6, 3}, Event{1000, 0.001, 10},
        Event{0.5, 0.01, 1'000'000}, Event{3, 0.999999, 10}, Event{1, 1e-9, 1'000'000'000}}) {
    for (const double delta : {1e-2, 1e-5, 1e-12}) {
      const double pld = pld_epsilon({event}, delta);
      const double rdp = rdp_epsilon({event}, delta).value;
      EXPECT_GE(pld, 0);
      EXPECT_FALSE(std::isnan(pld));
      if (std::isfinite(rdp)) {
        EXPECT_LE(pld, rdp * 1.01 + 1e-3) << event.noise_multiplier;
      }
    }
  }
}

TEST(Accountant, CheckNamesTheNumber) {
  for (const Event event :
       {Event{0, 0.1, 1}, Event{-1, 0.1, 1}, Event{1, 0, 1}, Event{1, 1.5, 1}, Event{1, 0.1, 0},
        Event{1, NAN, 1}, Event{NAN, 0.1, 1}, Event{INFINITY, 0.1, 1}, Event{1, 0.1, 1, -1e-9}})
    EXPECT_THROW(check_event(event, "here", ErrorKind::kUsage), Error);
  EXPECT_THROW(accountant_of("prv"), Error);
}

}  // namespace
}  // namespace moesaic::accounting
