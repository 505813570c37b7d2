#include "moe/capacity.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace moesaic {
namespace {

at::Tensor choices(std::vector<std::int64_t> experts, std::int64_t per_token) {
  const auto tokens = static_cast<std::int64_t>(experts.size()) / per_token;
  return at::tensor(experts, at::kLong).view({tokens, per_token});
}

TEST(Capacity, IsTheEvenShareTimesTheFactorRoundedUp) {
  EXPECT_EQ(capacity_of(1.0, 10, 2, 8), 3);
  EXPECT_EQ(capacity_of(1.25, 16, 1, 4), 5);
  EXPECT_EQ(capacity_of(1.0, 0, 2, 8), 0);
}

TEST(Capacity, LeavesOutTheLastTokens) {
  const auto selected = choices({0, 1, 0, 2, 0, 1, 1, 0}, 2);
  const auto weight = at::tensor({.1, .9, .2, .8, .3, .7, .6, .4}, at::kDouble).view({4, 2});
  EXPECT_TRUE(drop_over_capacity(selected, weight, 3, 2, true)
                  .equal(choices({0, 1, 0, 2, -1, 1, -1, -1}, 2)));
}

TEST(Capacity, LeavesOutTheSmallestWeightsAndOfEqualOnesTheLast) {
  const auto selected = choices({0, 1, 0, 2, 0, 1, 1, 0}, 2);
  const auto weight = at::tensor({.1, .9, .2, .8, .3, .6, .6, .4}, at::kDouble).view({4, 2});
  EXPECT_TRUE(drop_over_capacity(selected, weight, 3, 2, false)
                  .equal(choices({-1, 1, -1, 2, 0, 1, -1, 0}, 2)));
}

TEST(Capacity, DropsNobodyWithinIt) {
  const auto selected = choices({0, -1, 1, 0, 1, -1}, 2);
  const auto weight = at::tensor({.5, .0, .4, .6, .7, .0}, at::kDouble).view({3, 2});
  for (const bool by_position : {false, true})
    EXPECT_TRUE(drop_over_capacity(selected, weight, 2, 2, by_position).equal(selected));
}

}  // namespace
}  // namespace moesaic
