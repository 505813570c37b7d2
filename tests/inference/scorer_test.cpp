#include "inference/scorer.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace moesaic {
namespace {

using Batches = std::vector<std::vector<std::int64_t>>;

SequenceWindow window_of(const std::vector<std::size_t>& lengths) {
  SequenceWindow window;
  for (const std::size_t length : lengths) window.add(std::vector<std::uint32_t>(length, 1));
  return window;
}

TEST(MicroBatches, HoldEachSequenceOnceLongestFirst) {
  EXPECT_EQ(micro_batches(window_of({3, 5, 2, 4, 5}), 9), (Batches{{1}, {4, 3}, {0, 2}}));
}

TEST(MicroBatches, LeaveOutWhatHasNothingToScore) {
  EXPECT_EQ(micro_batches(window_of({1, 0, 2, 1}), 9), (Batches{{2}}));
  EXPECT_TRUE(micro_batches(window_of({0, 1}), 9).empty());
  EXPECT_TRUE(micro_batches(window_of({}), 9).empty());
}

TEST(MicroBatches, ALongerSequenceGoesAlone) {
  EXPECT_EQ(micro_batches(window_of({2, 100, 2}), 4), (Batches{{1}, {0, 2}}));
  EXPECT_EQ(micro_batches(window_of({5, 5}), 1), (Batches{{0}, {1}}));
}

TEST(InferencePlan, TakesTheLargestExpertGroupThatFits) {
  EXPECT_EQ(inference_plan(4, 0, 6).expert, 2);
  EXPECT_EQ(inference_plan(3, 0, 8).expert, 1);
  EXPECT_EQ(inference_plan(8, 0, 8).expert, 8);
  EXPECT_EQ(inference_plan(4, 0, 0).expert, 1);  // a dense model
  EXPECT_EQ(inference_plan(4, 1, 8).expert, 1);
}

TEST(InferencePlan, RefusesASizeThatDoesNotFitAndSaysWhichDo) {
  const auto refused = [](int ranks, int expert, std::int64_t experts, const std::string& hint) {
    try {
      inference_plan(ranks, expert, experts);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_EQ(error.hint(), hint);
    }
  };
  refused(4, 3, 12, "sizes that fit: 1, 2, 4");
  refused(6, 6, 8, "sizes that fit: 1, 2");
  refused(2, 2, 0, "");
}

}  // namespace
}  // namespace moesaic
