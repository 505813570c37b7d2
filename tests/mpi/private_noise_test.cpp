// Noise of a step over the layouts: added once to each logical value, the same on all that hold it.
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "privacy/noise.h"
#include "support/mpi_test.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

constexpr int kDraws = 10'000;
constexpr std::int64_t kExperts = 12;
constexpr double kDeviation = 3;

/// A dense parameter and this rank's rows of the experts.
ParameterSet small_set(const RankContext& context) {
  const std::int64_t own = kExperts / context.expert.size();
  std::vector<Parameter> parameters;
  parameters.push_back(test::parameter_of("dense", at::zeros({4}, at::kDouble)));
  parameters.push_back(test::expert_of("experts", at::zeros({own, 1, 2}, at::kDouble),
                                       own * context.expert.rank(), kExperts));
  return ParameterSet(std::move(parameters));
}

/// Values of the dense parameter and the experts here, in draw `number`.
at::Tensor noise_of(const RankContext& context, const ParameterSet& set, const SecretKey& key,
                    std::uint64_t number) {
  Gradients gradients;
  for (const Parameter& p : set)
    gradients.entries.push_back({p, at::zeros(p.tensor.sizes(), at::kDouble)});
  PrivateNoise noise([&](const Step&) { return PrivateNoise::Draw{key, number, 0, kDeviation}; });
  MetricsRow row;
  noise.apply(context, Step{}, gradients, row);
  return at::cat({gradients.entries[0].gradient, gradients.entries[1].gradient.flatten()});
}

double variance_over_claimed(const at::Tensor& squares) {
  return squares.mean().item<double>() / (kDraws * kDeviation * kDeviation);
}

TEST(PrivateNoise, HasTheClaimedVarianceAtEveryWorldSize) {
  for (const int expert : test::expert_sizes()) {
    if (kExperts % expert != 0) continue;
    const RankContext context = test::context(expert);
    const ParameterSet set = small_set(context);
    const SecretKey key = SecretKey::from_seed(11);
    at::Tensor squares = at::zeros({4 + 2 * kExperts / expert}, at::kDouble);
    for (int draw = 0; draw < kDraws; ++draw)
      squares.add_(noise_of(context, set, key, static_cast<std::uint64_t>(draw)).square());
    EXPECT_NEAR(variance_over_claimed(squares), 1, 0.02) << "expert groups of " << expert;
  }
}

TEST(PrivateNoise, IsTheSameOnReplicasAndOtherOnOtherExperts) {
  for (const int expert : test::expert_sizes()) {
    if (kExperts % expert != 0) continue;
    const RankContext context = test::context(expert);
    const at::Tensor own = noise_of(context, small_set(context), SecretKey::from_seed(11), 1);
    const RankContext alone = RankContext::single();
    const at::Tensor all = noise_of(alone, small_set(alone), SecretKey::from_seed(11), 1);
    EXPECT_TRUE(own.narrow(0, 0, 4).equal(all.narrow(0, 0, 4)));
    const std::int64_t rows = 2 * kExperts / expert;
    EXPECT_TRUE(
        own.narrow(0, 4, rows).equal(all.narrow(0, 4 + rows * context.expert.rank(), rows)));
  }
}

// Noise that is used again takes itself back: what two steps differ by shows their gradients.
TEST(PrivateNoise, IsOtherInEachStep) {
  const RankContext context = test::context(1);
  const ParameterSet set = small_set(context);
  const SecretKey key = SecretKey::from_seed(11);
  at::Tensor differences = at::zeros({4 + 2 * kExperts}, at::kDouble), reused = differences.clone();
  at::Tensor before = noise_of(context, set, key, 0);
  for (int draw = 1; draw <= kDraws / 10; ++draw) {
    const at::Tensor own = noise_of(context, set, key, static_cast<std::uint64_t>(draw));
    differences.add_(own.sub(before).square(), 10);
    reused.add_(own.sub(noise_of(context, set, key, static_cast<std::uint64_t>(draw))).square());
    before = own;
  }
  EXPECT_NEAR(variance_over_claimed(differences), 2, 0.1);
  EXPECT_EQ(reused.sum().item<double>(), 0);
}

// What the test of the variance is worth: noise of every rank in the sum, and noise that a mean
// over the ranks makes smaller.
TEST(PrivateNoise, OfMistakesHasAnotherVariance) {
  const RankContext context = test::context(1);
  const int ranks = context.world.size();
  if (ranks == 1) GTEST_SKIP() << "needs several ranks";
  const ParameterSet set = small_set(context);
  const SecretKey own_key = SecretKey::from_seed(static_cast<std::uint64_t>(100 + context.rank()));
  at::Tensor summed = at::zeros({4 + 2 * kExperts}, at::kDouble);
  for (int draw = 0; draw < kDraws / 10; ++draw) {
    at::Tensor sum = noise_of(context, set, own_key, static_cast<std::uint64_t>(draw));
    context.world.all_reduce(sum, ReduceOp::kSum, "test: noise");
    summed.add_(sum.square(), 10);
  }
  const double of_sum = variance_over_claimed(summed);
  EXPECT_GT(std::abs(of_sum - 1), 0.02);                    // on every rank
  EXPECT_GT(std::abs(of_sum / (ranks * ranks) - 1), 0.02);  // on every rank, over the world's size
}

}  // namespace
}  // namespace moesaic
