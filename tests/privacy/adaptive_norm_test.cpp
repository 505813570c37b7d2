#include "privacy/adaptive_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace moesaic {
namespace {

/// Units with norms 1, 2 ... 99.
double after_many_steps(double clip_norm, double quantile) {
  const AdaptiveNorm rule{.quantile = quantile, .rate = 0.2, .expected_batch_size = 99};
  for (int step = 0; step < 200; ++step) {
    const auto below = static_cast<std::int64_t>(std::min(99.0, std::floor(clip_norm)));
    clip_norm = rule.next(clip_norm, 99, below, 0);
  }
  return clip_norm;
}

TEST(AdaptiveNorm, ComesToTheQuantileFromBothSides) {
  for (const double start : {0.01, 3000.0}) {
    EXPECT_NEAR(after_many_steps(start, 0.5), 50, 1.5) << start;
    EXPECT_NEAR(after_many_steps(start, 0.9), 89, 2) << start;
  }
}

TEST(AdaptiveNorm, OneUnitMovesTheCountByHalf) {
  const AdaptiveNorm rule{.rate = 1, .noise = 0, .expected_batch_size = 10};
  const auto share = [&](std::int64_t units, std::int64_t below) {
    return 0.5 - std::log(rule.next(1, units, below, 0));
  };
  EXPECT_NEAR(share(8, 3) - share(7, 3), -0.05, 1e-12);
  EXPECT_NEAR(share(8, 4) - share(7, 3), 0.05, 1e-12);
  const AdaptiveNorm noisy{.rate = 1, .noise = 2, .expected_batch_size = 10};
  EXPECT_NEAR(std::log(noisy.next(1, 8, 3, 1.5) / rule.next(1, 8, 3, 0)), -0.3, 1e-12);
}

}  // namespace
}  // namespace moesaic
