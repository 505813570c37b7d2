#include "parallel/plan.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"

namespace moesaic {
namespace {

Error error_of(int world, int expert, std::int64_t num_experts) {
  try {
    Plan::make(world, expert, num_experts);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorKind::kInternal, "nothing was thrown"};
}

TEST(Plan, ExpertGroupsAreConsecutiveAndHoldEveryExpertOnce) {
  const Plan plan = Plan::make(6, 3, 12);
  EXPECT_EQ(plan.expert_data(), 2);
  EXPECT_EQ(plan.local_experts(12), 4);
  for (const int group : {0, 1}) {
    std::set<std::int64_t> experts;
    for (int rank = 3 * group; rank < 3 * group + 3; ++rank) {
      EXPECT_EQ(plan.expert_group_of(rank), group);
      EXPECT_EQ(plan.expert_rank_of(rank), rank % 3);
      for (std::int64_t i = 0; i < 4; ++i) experts.insert(plan.first_expert(rank, 12) + i);
    }
    EXPECT_EQ(experts.size(), 12U);
    EXPECT_EQ(*experts.rbegin(), 11);
  }
}

TEST(Plan, AcceptsEveryCommonDivisorAndNothingElse) {
  for (int world = 1; world <= 12; ++world) {
    for (int expert = 1; expert <= 12; ++expert) {
      const bool fits = world % expert == 0 && 8 % expert == 0;
      EXPECT_EQ(error_of(world, expert, 8).kind() == ErrorKind::kInternal, fits)
          << world << " " << expert;
    }
  }
}

TEST(Plan, SaysWhyASizeDoesNotFitAndWhichWould) {
  Error error = error_of(4, 3, 12);
  EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
  EXPECT_STREQ(error.what(), "parallel.expert is 3, which does not divide the 4 ranks");
  EXPECT_EQ(error.hint(), "values of parallel.expert that fit 4 ranks and 12 experts: 1, 2, 4");
  error = error_of(8, 8, 12);
  EXPECT_STREQ(error.what(), "parallel.expert is 8, which does not divide the 12 experts");
  EXPECT_EQ(error.hint(), "values of parallel.expert that fit 8 ranks and 12 experts: 1, 2, 4");
}

TEST(Plan, RefusesSizesBelowOneAndExpertsOfADenseModel) {
  EXPECT_STREQ(error_of(0, 1, 4).what(), "parallel.ranks is 0, it must be at least 1");
  EXPECT_STREQ(error_of(2, 0, 4).what(), "parallel.expert is 0, it must be at least 1");
  EXPECT_STREQ(error_of(2, 2, 0).what(),
               "parallel.expert is 2, but the model has no experts; set it to 1");
  EXPECT_EQ(Plan::make(5, 1, 0).expert_data(), 5);
}

}  // namespace
}  // namespace moesaic
