// Rank r writes 2^r into a gradient, so a sum over a wrong group is a wrong number.
#include "parallel/gradient_buckets.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/mpi_test.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

constexpr std::int64_t kExperts = 12;  // divides by all group sizes

/// Dense and expert parameters in turn, as a model has them.
ParameterSet make_parameters(const RankContext& context, at::ScalarType type) {
  std::vector<Parameter> parameters;
  for (int layer = 0; layer < 3; ++layer) {
    parameters.push_back(
        test::parameter_of(format("layers.{}.dense", layer), at::zeros({5, 3}, type)));
    parameters.push_back(test::expert_of(format("layers.{}.experts", layer),
                                         at::zeros({context.plan.local_experts(kExperts), 4}, type),
                                         context.plan.first_expert(context.rank(), kExperts),
                                         kExperts));
  }
  return ParameterSet(std::move(parameters));
}

double dense_sum(const RankContext& context) { return (1 << context.world.size()) - 1; }

double expert_sum(const RankContext& context) {
  double sum = 0;
  for (int rank = 0; rank < context.world.size(); ++rank) {
    const bool same =
        context.plan.expert_rank_of(rank) == context.plan.expert_rank_of(context.rank());
    if (same) sum += 1 << rank;
  }
  return sum;
}

void expect_sums(const ParameterSet& parameters, const GradientBuckets& buckets,
                 const RankContext& context, double factor) {
  for (const Parameter& parameter : parameters) {
    const double sum = parameter.scope == Scope::kDense ? dense_sum(context) : expert_sum(context);
    const at::Tensor view = buckets.view(parameter);
    EXPECT_TRUE(at::equal(view, at::full(view.sizes(), factor * sum, view.options())))
        << parameter.name << " " << view;
  }
}

/// Orders in which backward may complete parameters on a rank.
std::vector<std::size_t> order_of(const ParameterSet& parameters, int seed) {
  std::vector<std::size_t> order(parameters.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = order.size() - 1 - i;
  const auto shift = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(seed) % order.size());
  std::rotate(order.begin(), order.begin() + shift, order.end());
  return order;
}

TEST(GradientBuckets, SumDenseOverWorldAndExpertsOverTheirReplicas) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const ParameterSet parameters = make_parameters(context, type);
      for (const std::int64_t bytes :
           {std::int64_t{1}, std::int64_t{150}, std::int64_t{25'000'000}}) {
        GradientBuckets buckets(parameters, context, {.bucket_bytes = bytes});
        for (int step = 0; step < 2; ++step) {
          buckets.zero();
          buckets.begin(true);
          for (const std::size_t i : order_of(parameters, 0)) {
            buckets.view(parameters[i]).add_(1 << context.rank());
            buckets.complete(parameters[i]);
          }
          buckets.finish();
          expect_sums(parameters, buckets, context, 1);
        }
      }
    }
  }
}

TEST(GradientBuckets, StartInOneOrderWhateverOrderEachRankCompletesIn) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const ParameterSet parameters = make_parameters(context, at::kFloat);
    GradientBuckets buckets(parameters, context, {.bucket_bytes = 1});
    ASSERT_EQ(buckets.size(), parameters.size());
    buckets.begin(true);
    for (const std::size_t i : order_of(parameters, 2 * context.rank() + 1)) {
      buckets.view(parameters[i]).add_(1 << context.rank());
      buckets.complete(parameters[i]);
      context.world.progress();
    }
    buckets.finish();  // the world compares labels: another order would be an error
    expect_sums(parameters, buckets, context, 1);
  }
}

TEST(GradientBuckets, AddUpOverTheRoundsOfAStep) {
  const RankContext context = test::context(1);
  const ParameterSet parameters = make_parameters(context, at::kFloat);
  GradientBuckets buckets(parameters, context, {.bucket_bytes = 150});
  for (int round = 0; round < 3; ++round) {
    buckets.begin(round == 2);
    for (const std::size_t i : order_of(parameters, 0)) {
      buckets.view(parameters[i]).add_(1 << context.rank());
      buckets.complete(parameters[i]);
    }
  }
  buckets.finish();
  expect_sums(parameters, buckets, context, 3);
}

TEST(GradientBuckets, AParameterThatNothingCompletesStillTakesPart) {
  const RankContext context = test::context(1);
  const ParameterSet parameters = make_parameters(context, at::kFloat);
  GradientBuckets buckets(parameters, context, {.bucket_bytes = 1});
  buckets.begin(true);
  if (!context.is_chief()) {  // the chief has no tokens at all
    for (const std::size_t i : order_of(parameters, 0)) {
      buckets.view(parameters[i]).add_(1);
      buckets.complete(parameters[i]);
    }
  }
  buckets.finish();
  for (const Parameter& parameter : parameters) {
    const at::Tensor view = buckets.view(parameter);
    EXPECT_TRUE(at::equal(view, at::full(view.sizes(), context.world.size() - 1, at::kFloat)));
  }
}

}  // namespace
}  // namespace moesaic
