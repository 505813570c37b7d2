// Errors in units of the last place against long double, whose own error is 2000 times smaller.
#include "core/box_muller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/random.h"

namespace moesaic {
namespace {

double ulps(double value, long double exact) {
  const int exponent = std::max(std::ilogb(exact), std::numeric_limits<double>::min_exponent - 1);
  return static_cast<double>(std::abs(value - exact) / std::ldexp(1.0L, exponent - 52));
}

TEST(NaturalLog, IsWithinTwoUnitsInTheLastPlace) {
  const RandomKey key(3, RandomStream::kNoise);
  double worst = 0;
  for (std::uint64_t i = 0; i < 1000000; ++i) {
    const double u = key.uniform(i);
    for (const double x : {1 - u, 1 - u * 0x1.0p-20, u * 0x1.0p-40 + 0x1.0p-53})
      worst = std::max(worst, ulps(natural_log(x), std::log(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, 2);
  EXPECT_GT(worst, 0.5) << "the comparison sees no rounding at all";
}

TEST(NaturalLog, IsRightAtTheEndsOfItsRange) {
  EXPECT_EQ(natural_log(1), 0);
  EXPECT_EQ(natural_log(1 - 0x1.0p-53), -0x1.0p-53);
  EXPECT_LT(ulps(natural_log(0x1.0p-53), -53 * std::numbers::ln2_v<long double>), 1);
}

TEST(SineCosineTurns, IsWithinTwoUnitsInTheLastPlace) {
  const RandomKey key(4, RandomStream::kNoise);
  double worst = 0;
  for (std::uint64_t i = 0; i < 1000000; ++i) {
    const double v = key.uniform(i);
    const SineCosine got = sine_cosine_turns(v);
    // An exact quarter is taken off first: pi rounded would cost bits where the result is small.
    const int quarter = static_cast<int>(std::lround(4 * v)) % 4;
    const long double rest = 2 * std::numbers::pi_v<long double> *
                             (v - 0.25L * static_cast<long double>(std::lround(4 * v)));
    const long double s = std::sin(rest), c = std::cos(rest);
    const long double sines[] = {s, c, -s, -c}, cosines[] = {c, -s, -c, s};
    worst = std::max({worst, ulps(got.sine, sines[quarter]), ulps(got.cosine, cosines[quarter])});
  }
  EXPECT_LT(worst, 2);
  EXPECT_GT(worst, 0.5) << "the comparison sees no rounding at all";
}

TEST(SineCosineTurns, IsExactAtTheQuartersAndGoesRoundTheRightWay) {
  const double sines[] = {0, 1, 0, -1}, cosines[] = {1, 0, -1, 0};
  for (int quarter = 0; quarter < 4; ++quarter) {
    const SineCosine got = sine_cosine_turns(0.25 * quarter);
    EXPECT_EQ(got.sine, sines[quarter]) << quarter;
    EXPECT_EQ(got.cosine, cosines[quarter]) << quarter;
  }
}

TEST(BoxMuller, TakesTheFarthestDrawFromAllBitsSetAndNeverMore) {
  constexpr std::uint32_t kAll = 0xffffffff;
  const NormalPair far = box_muller(kAll, kAll, 0, 0);  // u = 1 - 2^-53
  EXPECT_NEAR(far.even, std::sqrt(106 * std::numbers::ln2), 1e-14);
  EXPECT_EQ(far.odd, 0);
  EXPECT_EQ(box_muller(0, 0, kAll, kAll).even, 0);  // u = 0: radius 0
}

}  // namespace
}  // namespace moesaic
