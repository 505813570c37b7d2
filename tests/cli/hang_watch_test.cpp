#include "cli/hang_watch.h"

#include <gtest/gtest.h>

namespace moesaic::cli {
namespace {

constexpr HangWatch::Options kOptions{.silence_s = 10, .start_s = 30, .most_gap_s = 4};

TEST(HangWatch, SilenceThatIsTooLongIsAHang) {
  HangWatch watch(kOptions, 100);
  EXPECT_FALSE(watch.look(101, 5));
  for (double now = 102; now < 111.5; now += 1) EXPECT_FALSE(watch.look(now, 5)) << now;
  const auto silent = watch.look(112, 5);
  ASSERT_TRUE(silent);
  EXPECT_DOUBLE_EQ(*silent, 11);
}

TEST(HangWatch, AnySignOfLifeBeginsAnew) {
  HangWatch watch(kOptions, 0);
  std::uint64_t signs = 1;
  for (double now = 1; now < 100; now += 3) EXPECT_FALSE(watch.look(now, signs += 1)) << now;
  EXPECT_FALSE(watch.look(103, signs -= 3)) << "a file that was made anew counts from its start";
}

TEST(HangWatch, AStartMayTakeLonger) {
  HangWatch watch(kOptions, 0);
  for (double now = 1; now < 30.5; now += 1) EXPECT_FALSE(watch.look(now, 0)) << now;
  EXPECT_TRUE(watch.look(31, 0));
}

TEST(HangWatch, TheTimeThatItSleptItselfDoesNotCount) {
  HangWatch watch(kOptions, 0);
  EXPECT_FALSE(watch.look(1, 5));
  EXPECT_FALSE(watch.look(1000, 5)) << "the machine was suspended";
  EXPECT_FALSE(watch.look(1004, 5));
  EXPECT_TRUE(watch.look(1008, 5));
}

}  // namespace
}  // namespace moesaic::cli
