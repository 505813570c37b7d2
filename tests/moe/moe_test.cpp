#include <ATen/ops/allclose.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "moe/permute.h"
#include "moe/router.h"
#include "moe/routing_stats.h"
#include "support/capture_sink.h"

namespace moesaic {
namespace {

Routing route(bool norm_topk_prob, at::Tensor& probabilities) {
  test::Fixture f;
  const auto weight = f.parameter(at::randn({6, 4}, at::kDouble));
  const auto x = at::randn({11, 4}, at::kDouble);
  probabilities = at::softmax(x.matmul(weight.tensor.t()), 1);
  return Router({.num_experts = 6, .num_experts_per_tok = 2, .norm_topk_prob = norm_topk_prob},
                weight)
      .route(f.context, x);
}

TEST(Router, ChoosesTheMostProbableExpertsWithTheirProbabilities) {
  at::Tensor p;
  const Routing routing = route(false, p);
  const auto [value, index] = p.topk(2, 1);
  EXPECT_TRUE(routing.selected_TK.equal(index));
  EXPECT_TRUE(at::allclose(routing.weight_TK, value, 1e-12, 1e-12));
  EXPECT_EQ(routing.record.count_E.sum().item<std::int64_t>(), 22);
}

TEST(Router, DividesByTheSumOfTheChosenWhenAskedTo) {
  at::Tensor p;
  const Routing routing = route(true, p);
  const auto value = std::get<0>(p.topk(2, 1));
  EXPECT_TRUE(at::allclose(routing.weight_TK, value.div(value.sum(1, true)), 1e-12, 1e-12));
}

// One token whose logits are `logits`: the router's weight holds them, x is 1.
Routing route_logits(const std::vector<double>& logits, const Router::Options& options,
                     const std::vector<double>& bias = {}) {
  test::Fixture f;
  const auto weight = f.parameter(at::tensor(logits, at::kDouble).unsqueeze(1));
  std::optional<Parameter> correction;
  if (!bias.empty()) correction = f.parameter(at::tensor(bias, at::kDouble));
  const auto x = at::ones({1, 1}, at::kDouble);
  return Router(options, weight, correction).route(f.context, x);
}

TEST(Router, ChoosesFromTheBestGroupsOnly) {
  // Groups {0, 1}, {2, 3}, {4, 5}: the best single expert is in the first, the best pair in the
  // last.
  const std::vector<double> logits = {3.0, -9.0, 0.1, 0.0, 2.0, 1.9};
  const Router::Options by_max{.num_experts = 6, .num_experts_per_tok = 2, .n_group = 3};
  EXPECT_TRUE(
      route_logits(logits, by_max).selected_TK.equal(at::tensor({0, 1}, at::kLong).view({1, 2})));
  Router::Options by_pair = by_max;
  by_pair.scoring = Router::Scoring::kSigmoid;
  by_pair.group_score_top = 2;
  EXPECT_TRUE(
      route_logits(logits, by_pair).selected_TK.equal(at::tensor({4, 5}, at::kLong).view({1, 2})));
}

TEST(Router, CorrectionBiasDecidesTheChoiceAndNotTheWeight) {
  const Router::Options options{.num_experts = 3,
                                .num_experts_per_tok = 2,
                                .norm_topk_prob = true,
                                .scoring = Router::Scoring::kSigmoid,
                                .scaling_factor = 2.5};
  const Routing routing = route_logits({0.0, 2.0, 1.0}, options, {5.0, 0.0, 0.0});
  EXPECT_TRUE(routing.selected_TK.equal(at::tensor({0, 1}, at::kLong).view({1, 2})));
  const double first = 0.5, second = 1 / (1 + std::exp(-2.0));
  EXPECT_NEAR(routing.weight_TK[0][0].item<double>(), 2.5 * first / (first + second), 1e-12);
  EXPECT_NEAR(routing.weight_TK[0][1].item<double>(), 2.5 * second / (first + second), 1e-12);
}

TEST(Grouping, KeepsTheOrderOfTokensInsideAnExpert) {
  const auto selected = at::tensor({2, 0, 0, 2, 1, 0}, at::kLong).view({3, 2});
  const Grouping grouping = Grouping::make(selected);
  EXPECT_TRUE(grouping.order_N.equal(at::tensor({1, 2, 5, 4, 0, 3}, at::kLong)));
  const auto x = at::randn({3, 4}, at::kDouble);
  EXPECT_TRUE(at::allclose(gather_from_groups(scatter_to_groups(x, grouping), grouping), x.mul(2)));
}

TEST(RoutingStats, AddsMicroBatchesAndMeasuresTheBusiestExpert) {
  RoutingStats stats;
  RouterRecord even, odd;
  even.count_E = at::tensor({2, 2, 2, 0}, at::kLong);
  odd.count_E = at::tensor({4, 1, 1, 0}, at::kLong);
  stats.add({even, odd});
  stats.add({even, odd});
  EXPECT_NEAR(stats.max_violation(), 8 / 3.0 - 1, 1e-12);  // layer 1: 8 of 12, mean 3
  EXPECT_EQ(stats.dead_experts(), 2);
  EXPECT_NEAR(stats.loads()[1].second[0], 8 / 12.0, 1e-12);
}

TEST(RoutingStats, IsZeroWithoutLayers) {
  RoutingStats stats;
  stats.add({});
  EXPECT_EQ(stats.max_violation(), 0);
  EXPECT_EQ(stats.dead_experts(), 0);
  EXPECT_TRUE(stats.loads().empty());
}

}  // namespace
}  // namespace moesaic
