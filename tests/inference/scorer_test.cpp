#include "inference/scorer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "support/random_model.h"

namespace moesaic {
namespace {

using Groups = std::vector<SequenceGroup>;
using Batches = std::vector<std::vector<std::int64_t>>;

SequenceWindow window_of(const std::vector<std::size_t>& lengths) {
  SequenceWindow window;
  for (const std::size_t length : lengths) window.add(std::vector<std::uint32_t>(length, 1));
  return window;
}

// The sequences of each micro-batch.
Batches batches_of(const SequenceWindow& window, std::int64_t batch_tokens) {
  Batches batches;
  for (const auto& groups : micro_batches(window, groups_of(window, true), batch_tokens)) {
    batches.emplace_back();
    for (const SequenceGroup& group : groups)
      for (std::int64_t i = 0; i < group.count; ++i) batches.back().push_back(group.first + i);
  }
  return batches;
}

TEST(MicroBatches, HoldEachSequenceOnceLongestFirst) {
  EXPECT_EQ(batches_of(window_of({3, 5, 2, 4, 5}), 9), (Batches{{1}, {4, 3}, {0, 2}}));
}

TEST(MicroBatches, LeaveOutWhatHasNothingToScore) {
  EXPECT_EQ(batches_of(window_of({1, 0, 2, 1}), 9), (Batches{{2}}));
  EXPECT_TRUE(batches_of(window_of({0, 1}), 9).empty());
  EXPECT_TRUE(batches_of(window_of({}), 9).empty());
}

TEST(MicroBatches, ALongerSequenceGoesAlone) {
  EXPECT_EQ(batches_of(window_of({2, 100, 2}), 4), (Batches{{1}, {0, 2}}));
  EXPECT_EQ(batches_of(window_of({5, 5}), 1), (Batches{{0}, {1}}));
}

// `shared` ids, then `own` ones that no other sequence has in this place.
void add(SequenceWindow& window, std::size_t shared, std::size_t own, std::size_t first) {
  std::vector<std::uint32_t> ids;
  for (std::size_t i = 0; i < shared; ++i) ids.push_back(static_cast<std::uint32_t>(1 + i % 7));
  for (std::size_t i = 0; i < own; ++i)
    ids.push_back(static_cast<std::uint32_t>(8 + (3 * window.sequences() + i) % 9));
  window.add(ids, static_cast<std::int64_t>(first));
}

TEST(SequenceGroups, ReadOnceWhatTheirSequencesShareAndNobodyAsksFor) {
  SequenceWindow window;
  add(window, 40, 3, 40);
  add(window, 40, 2, 40);
  add(window, 40, 5, 38);  // the id before the first that is asked for is read again
  add(window, 20, 4, 20);  // a shorter beginning for all would save less
  add(window, 20, 4, 21);
  add(window, 8, 40, 8);  // too short
  add(window, 8, 40, 8);
  add(window, 30, 1, 0);  // all ids are asked for
  add(window, 30, 1, 0);
  add(window, 0, 1, 0);      // nothing to score
  add(window, 30, 300, 30);  // much comes after
  add(window, 30, 300, 30);
  EXPECT_EQ(groups_of(window, true), (Groups{{0, 3, 37},
                                             {3, 2, 19},
                                             {5, 1, 0},
                                             {6, 1, 0},
                                             {7, 1, 0},
                                             {8, 1, 0},
                                             {10, 1, 0},
                                             {11, 1, 0}}));
  EXPECT_EQ(groups_of(window, true)[0].rows(window), 37 + 6 + 5 + 8);
  for (const SequenceGroup& group : groups_of(window, false)) EXPECT_EQ(group.shared, 0);
}

// The log-probabilities are those of each sequence alone.
TEST(Scorer, GroupsChangeNoNumber) {
  const testing::TemporaryFolder folder;
  const RankContext context = RankContext::single();
  SequenceWindow window;
  for (const std::size_t own : {3, 1, 6}) add(window, 40, own, 40);
  add(window, 0, 30, 0);
  for (const std::size_t own : {2, 9}) add(window, 25, own, 24);
  ASSERT_EQ(groups_of(window, true).size(), 3U);
  for (const Json& config :
       {test::sample_hub_config(), test::sample_dense_config(), test::sample_latent_config()}) {
    InferenceModel model = test::random_model(context, folder, config, "float64");
    Scorer scorer(context, model, {.batch_tokens = 64});
    const std::vector<double> together = scorer.score(window);
    for (std::int64_t i = 0; i < window.sequences(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const auto ids = window.of(i);
      SequenceWindow one;
      one.add(std::vector<std::uint32_t>(ids.begin(), ids.end()), window.firsts[at]);
      const std::vector<double> alone = scorer.score(one);
      for (std::int64_t j = std::max<std::int64_t>(1, window.firsts[at]); j < window.length(i);
           ++j) {
        EXPECT_LT(alone[static_cast<std::size_t>(j)], 0);
        EXPECT_NEAR(together[static_cast<std::size_t>(window.offsets[at] + j)],
                    alone[static_cast<std::size_t>(j)], 1e-10)
            << i << ", " << j;
      }
    }
  }
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
