#include "observe/thinned_curve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

namespace moesaic {
namespace {

std::vector<CurvePoint> noise(std::int64_t count) {
  std::mt19937_64 draws(7);
  std::vector<CurvePoint> all;
  for (std::int64_t step = 1; step <= count; ++step)
    all.push_back({3 * step, static_cast<double>(draws() % 1'000'000) / 1e6});
  return all;
}

ThinnedCurve curve_of(const std::vector<CurvePoint>& all, std::size_t most_buckets) {
  ThinnedCurve curve(most_buckets);
  for (const CurvePoint& point : all) curve.add(point.step, point.value);
  return curve;
}

bool lower(const CurvePoint& a, const CurvePoint& b) { return a.value < b.value; }
bool earlier(const CurvePoint& a, const CurvePoint& b) { return a.step < b.step; }

TEST(ThinnedCurve, OfFewPointsKeepsThemAll) {
  const auto all = noise(100);
  const ThinnedCurve curve = curve_of(all, 128);
  EXPECT_EQ(curve.points(100), all);
  EXPECT_EQ(curve.count(), 100);
  EXPECT_EQ(curve.last(), all.back());
  EXPECT_TRUE(ThinnedCurve().points(10).empty());
}

TEST(ThinnedCurve, KeepsEndsAndExtremesWithinItsBound) {
  auto all = noise(100'003);
  all[4'321].value = -50;
  all[77'777].value = 60;
  const ThinnedCurve curve = curve_of(all, 64);
  for (const std::size_t most : {256U, 100U, 17U, 4U}) {
    const auto kept = curve.points(most);
    EXPECT_LE(kept.size(), most);
    EXPECT_EQ(kept.front(), all.front());
    EXPECT_EQ(kept.back(), all.back());
    EXPECT_EQ(*std::min_element(kept.begin(), kept.end(), lower), all[4'321]);
    EXPECT_EQ(*std::max_element(kept.begin(), kept.end(), lower), all[77'777]);
    EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end(), earlier));
    EXPECT_EQ(std::adjacent_find(kept.begin(), kept.end(),
                                 [](auto& a, auto& b) { return a.step == b.step; }),
              kept.end());
    for (const CurvePoint& point : kept)
      EXPECT_EQ(point, all[static_cast<std::size_t>(point.step / 3 - 1)]);
  }
}

TEST(ThinnedCurve, KeepsTheExtremesOfEachStretch) {
  const auto all = noise(40'000);
  const auto kept = curve_of(all, 64).points(256);
  // 64 buckets or 32 and more: a stretch of 4,000 points holds whole ones of at most 1,250 each.
  for (std::size_t begin = 0; begin + 4'000 <= all.size(); begin += 500) {
    const auto inner =
        std::max_element(all.begin() + static_cast<std::ptrdiff_t>(begin) + 1'250,
                         all.begin() + static_cast<std::ptrdiff_t>(begin) + 2'750, lower);
    double highest = -1;
    for (const CurvePoint& point : kept) {
      if (point.step > all[begin].step && point.step < all[begin + 3'999].step)
        highest = std::max(highest, point.value);
    }
    EXPECT_GE(highest, inner->value);
  }
}

TEST(ThinnedCurve, CountsWhatIsNotFinite) {
  ThinnedCurve curve;
  curve.add(1, 1.0);
  curve.add(2, std::numeric_limits<double>::quiet_NaN());
  curve.add(3, std::numeric_limits<double>::infinity());
  EXPECT_EQ(curve.points(10), (std::vector<CurvePoint>{{1, 1.0}}));
  EXPECT_EQ(curve.not_finite(), 2);
  EXPECT_EQ(curve.first_not_finite(), 2);
}

}  // namespace
}  // namespace moesaic
