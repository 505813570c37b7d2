// The layout; the sums over groups are tested on several ranks in tests/mpi.
#include "parallel/gradient_buckets.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

/// Parameters of `rows` x 16 values: dense, or expert where the sign is negative.
ParameterSet make(const std::vector<std::int64_t>& rows, at::ScalarType type = at::kFloat) {
  std::vector<Parameter> parameters;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    parameters.push_back(
        test::parameter_of(format("p{}", i), at::zeros({std::abs(rows[i]), 16}, type)));
    if (rows[i] < 0) parameters.back().scope = Scope::kExpert;
  }
  return ParameterSet(std::move(parameters));
}

GradientBuckets buckets_of(const ParameterSet& set, std::int64_t bytes) {
  return {set, RankContext::single(), {.bucket_bytes = bytes}};
}

using Members = std::vector<std::vector<std::size_t>>;

Members members(const GradientBuckets& buckets) {
  Members result;
  for (const auto& bucket : buckets.buckets()) result.push_back(bucket.parameters);
  return result;
}

TEST(GradientBuckets, FillInReverseOrderUpToTheLimit) {
  // 64 bytes a row: at most 4 rows a bucket.
  EXPECT_EQ(members(buckets_of(make({1, 2, 2, 3, 1}), 256)), (Members{{4, 3}, {2, 1}, {0}}));
}

TEST(GradientBuckets, AParameterAboveTheLimitHasABucketOfItsOwn) {
  EXPECT_EQ(members(buckets_of(make({1, 9, 1}), 256)), (Members{{2}, {1}, {0}}));
}

TEST(GradientBuckets, KeepScopesApartAndAreNumberedByTheirLastParameter) {
  const GradientBuckets buckets = buckets_of(make({1, -3, 1, -3, 1, -3}), 256);
  EXPECT_EQ(members(buckets), (Members{{5}, {3}, {1}, {4, 2, 0}}));
  EXPECT_EQ(buckets.buckets()[2].scope, Scope::kExpert);
  EXPECT_EQ(buckets.buckets()[3].scope, Scope::kDense);
}

TEST(GradientBuckets, FrozenParametersHaveNoGradient) {
  Parameter frozen = test::parameter_of("frozen", at::zeros({4}));
  frozen.trainable = false;
  const ParameterSet set({frozen, test::parameter_of("trained", at::zeros({4}))});
  GradientBuckets buckets = buckets_of(set, 256);
  EXPECT_FALSE(buckets.view(set[0]).defined());
  EXPECT_TRUE(buckets.view(set[1]).defined());
  buckets.begin(true);
  buckets.complete(set[0]);  // nothing to complete, and no error
  buckets.finish();
  EXPECT_EQ(members(buckets), (Members{{1}}));
  const Gradients gradients = buckets.gradients(set);
  ASSERT_EQ(gradients.entries.size(), 1U);
  EXPECT_EQ(&gradients.entries[0].parameter, &set[1]);
  EXPECT_TRUE(gradients.entries[0].gradient.is_alias_of(buckets.view(set[1])));
}

TEST(GradientBuckets, ViewsAreShapedLikeTheParametersAndLieInTheFlatBuffer) {
  const ParameterSet set({test::parameter_of("odd", at::zeros({3, 1})),
                          test::parameter_of("even", at::zeros({2, 2}))});
  GradientBuckets buckets = buckets_of(set, 1024);
  ASSERT_EQ(buckets.size(), 1U);
  EXPECT_EQ(buckets.view(set[0]).sizes(), at::IntArrayRef({3, 1}));
  buckets.view(set[0]).fill_(2);
  buckets.view(set[1]).fill_(3);
  EXPECT_EQ(buckets.flat(0).sum().item<float>(), 3 * 2 + 4 * 3);  // padding is zero
  buckets.zero();
  EXPECT_TRUE(at::equal(buckets.view(set[1]), at::zeros({2, 2})));
}

TEST(GradientBuckets, AreFloat32UnlessTheParametersAreFloat64) {
  EXPECT_EQ(buckets_of(make({1}, at::kBFloat16), 256).flat(0).scalar_type(), at::kFloat);
  EXPECT_EQ(buckets_of(make({1}, at::kFloat), 256).flat(0).scalar_type(), at::kFloat);
  EXPECT_EQ(buckets_of(make({1}, at::kDouble), 256).flat(0).scalar_type(), at::kDouble);
}

TEST(GradientBuckets, RefuseToCompleteTwiceAndToFinishBeforeTheLastRound) {
  const ParameterSet set = make({1, 1});
  GradientBuckets buckets = buckets_of(set, 256);
  buckets.begin(false);
  buckets.complete(set[0]);
  EXPECT_THROW(buckets.complete(set[0]), Error);
  EXPECT_THROW(buckets.finish(), Error);
  buckets.begin(true);
  buckets.complete(set[0]);  // a new backward
  buckets.finish();
  EXPECT_THROW(buckets.finish(), Error);  // the step is over
}

TEST(GradientBuckets, MayBeEmpty) {
  GradientBuckets buckets = buckets_of(make({}), 256);
  buckets.zero();
  buckets.begin(true);
  buckets.finish();
  EXPECT_EQ(buckets.size(), 0U);
}

}  // namespace
}  // namespace moesaic
