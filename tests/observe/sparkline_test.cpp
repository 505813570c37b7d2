#include "observe/sparkline.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

TEST(Sparkline, RisesFromTheLowestToTheHighest) {
  std::vector<CurvePoint> points;
  for (int i = 0; i < 8; ++i) points.push_back({i, static_cast<double>(i)});
  EXPECT_EQ(sparkline(points, 8, 1), (std::vector<std::string>{"▁▂▃▄▅▆▇█"}));
  EXPECT_EQ(sparkline({{0, 0}, {1, 1}}, 2, 2), (std::vector<std::string>{" █", "▁█"}));
}

TEST(Sparkline, OfOneValueOrNone) {
  EXPECT_EQ(sparkline({{5, 3.0}}, 3, 1), (std::vector<std::string>{"▁▁▁"}));
  EXPECT_EQ(sparkline({}, 3, 2), (std::vector<std::string>{"   ", "   "}));
  EXPECT_EQ(sparkline({{5, 3.0}}, 0, 1), (std::vector<std::string>{""}));
}

TEST(Sparkline, RepeatsWhatHasNoPointAndJoinsWhatHasMany) {
  EXPECT_EQ(sparkline({{0, 0}, {9, 7}}, 4, 1), (std::vector<std::string>{"▁▁▁█"}));
  EXPECT_EQ(sparkline({{0, 0}, {1, 2}, {2, 8}, {3, 8}}, 2, 1), (std::vector<std::string>{"▁█"}));
}

TEST(Bars, ShowSharesAndWhatIsNothing) {
  EXPECT_EQ(bars({0, 0.01, 0.5, 1, 2}, 1, 10), " ▁▄██");
  EXPECT_EQ(bars({1, 1, 0, 0, 1}, 1, 3), "█ █");
  EXPECT_EQ(bars({}, 1, 3), "");
}

}  // namespace
}  // namespace moesaic
