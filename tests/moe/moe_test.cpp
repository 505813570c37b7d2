#include <ATen/ops/allclose.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "loss/balance.h"
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
                Linear(weight))
      .route(f.context, x);
}

TEST(Router, ChoosesTheMostProbableExpertsWithTheirProbabilities) {
  at::Tensor p;
  const Routing routing = route(false, p);
  const auto [value, index] = p.topk(2, 1);
  EXPECT_TRUE(routing.record.selected_TK.equal(index));
  EXPECT_TRUE(at::allclose(routing.weight_TC, value, 1e-12, 1e-12));
  EXPECT_EQ(routing.record.count_E.sum().item<std::int64_t>(), 22);
}

TEST(Router, DividesByTheSumOfTheChosenWhenAskedTo) {
  at::Tensor p;
  const Routing routing = route(true, p);
  const auto value = std::get<0>(p.topk(2, 1));
  EXPECT_TRUE(at::allclose(routing.weight_TC, value.div(value.sum(1, true)), 1e-12, 1e-12));
}

// One token whose logits are `logits`: the router's weight holds them, x is 1.
Routing route_logits(const std::vector<double>& logits, const Router::Options& options,
                     const std::vector<double>& bias = {}) {
  test::Fixture f;
  const Linear weight(f.parameter(at::tensor(logits, at::kDouble).unsqueeze(1)));
  const Parameter* correction = nullptr;
  if (!bias.empty()) correction = &f.parameter(at::tensor(bias, at::kDouble));
  const auto x = at::ones({1, 1}, at::kDouble);
  return Router(options, weight, correction).route(f.context, x);
}

TEST(Router, ChoosesFromTheBestGroupsOnly) {
  // Groups {0, 1}, {2, 3}, {4, 5}: the best single expert is in the first, the best pair in the
  // last.
  const std::vector<double> logits = {3.0, -9.0, 0.1, 0.0, 2.0, 1.9};
  const Router::Options by_max{.num_experts = 6, .num_experts_per_tok = 2, .n_group = 3};
  EXPECT_TRUE(route_logits(logits, by_max)
                  .record.selected_TK.equal(at::tensor({0, 1}, at::kLong).view({1, 2})));
  Router::Options by_pair = by_max;
  by_pair.scoring = Router::Scoring::kSigmoid;
  by_pair.group_score_top = 2;
  EXPECT_TRUE(route_logits(logits, by_pair)
                  .record.selected_TK.equal(at::tensor({4, 5}, at::kLong).view({1, 2})));
}

TEST(Router, CorrectionBiasDecidesTheChoiceAndNotTheWeight) {
  const Router::Options options{.num_experts = 3,
                                .num_experts_per_tok = 2,
                                .norm_topk_prob = true,
                                .scoring = Router::Scoring::kSigmoid,
                                .scaling_factor = 2.5};
  const Routing routing = route_logits({0.0, 2.0, 1.0}, options, {5.0, 0.0, 0.0});
  EXPECT_TRUE(routing.record.selected_TK.equal(at::tensor({0, 1}, at::kLong).view({1, 2})));
  const double first = 0.5, second = 1 / (1 + std::exp(-2.0));
  EXPECT_NEAR(routing.weight_TC[0][0].item<double>(), 2.5 * first / (first + second), 1e-12);
  EXPECT_NEAR(routing.weight_TC[0][1].item<double>(), 2.5 * second / (first + second), 1e-12);
}

TEST(Router, StopsChoosingWhereTheProbabilitiesReachTheThreshold) {
  // Softmax of the logits: 0.5, 0.25, 0.125, 0.125.
  const std::vector<double> logits = {std::log(4.0), std::log(2.0), 0, 0};
  Router::Options options{.num_experts = 4, .num_experts_per_tok = 3, .norm_topk_prob = true};
  const auto chosen = [&](double top_p) {
    options.router_top_p = top_p;
    return route_logits(logits, options);
  };
  EXPECT_EQ(chosen(0.5).record.count_E.sum().item<std::int64_t>(), 1);
  const Routing two = chosen(0.7);
  EXPECT_TRUE(two.record.selected_TK.equal(at::tensor({0, 1, -1}, at::kLong).view({1, 3})));
  EXPECT_TRUE(at::allclose(two.weight_TC,
                           at::tensor({2 / 3.0, 1 / 3.0, 0.0}).view({1, 3}).to(at::kDouble)));
  EXPECT_EQ(chosen(0.99).record.count_E.sum().item<std::int64_t>(), 3);  // never more than K
}

TEST(Router, GivesTheTokenBackForExpertsThatComputeNothing) {
  const Router::Options options{
      .num_experts = 2, .zero_expert_num = 2, .num_experts_per_tok = 3, .norm_topk_prob = true};
  const Routing routing = route_logits({3.0, 0.0, 2.0, 1.0}, options);
  EXPECT_TRUE(routing.sent_TC.equal(at::tensor({0, -1, -1}, at::kLong).view({1, 3})));
  EXPECT_NEAR(routing.identity_T[0].item<double>(), 1 - routing.weight_TC[0][0].item<double>(),
              1e-12);
  EXPECT_EQ(routing.record.num_experts, 2);
  EXPECT_TRUE(routing.record.count_E.equal(at::tensor({1, 0, 1, 1}, at::kLong)));
}

// softmax(x E^T / sqrt(D)): the router of the weight that is divided itself.
TEST(Router, ScalesItsLogitsBeforeAnythingLooksAtThem) {
  test::Fixture f;
  const double scale = 1 / std::sqrt(4.0) / 1.7;
  const auto value = at::randn({6, 4}, at::kDouble);
  const auto &plain = f.parameter(value), &folded = f.parameter(value.mul(scale));
  const auto x = at::randn({11, 4}, at::kDouble);
  for (const auto scoring : {Router::Scoring::kSoftmax, Router::Scoring::kSigmoid}) {
    Router::Options options{.num_experts = 6, .num_experts_per_tok = 2, .scoring = scoring};
    const Routing wanted = Router(options, Linear(folded)).route(f.context, x);
    options.logit_scale = scale;
    const Routing got = Router(options, Linear(plain)).route(f.context, x);
    EXPECT_TRUE(got.record.selected_TK.equal(wanted.record.selected_TK));
    EXPECT_TRUE(at::allclose(got.weight_TC, wanted.weight_TC, 1e-12, 1e-12));
    EXPECT_TRUE(at::allclose(got.record.logits_TE, x.matmul(value.t()).mul(scale), 1e-12, 1e-12));
    EXPECT_TRUE(
        at::allclose(got.record.probabilities_TE, wanted.record.probabilities_TE, 1e-12, 1e-12));
  }
}

TEST(Router, GivesWeightAndInputTheGradientOfScaledLogits) {
  test::Fixture f;
  const auto& weight = f.parameter(at::randn({6, 4}, at::kDouble));
  const Router router({.num_experts = 6, .num_experts_per_tok = 2, .logit_scale = 0.5},
                      Linear(weight));
  const auto x = at::randn({11, 4}, at::kDouble), c = at::randn({11, 2}, at::kDouble);
  const auto value = [&](const at::Tensor& input) {
    const Routing routing = router.route(f.context, input);
    return routing.weight_TC.mul(c).sum().add(routing.record.logits_TE.square().sum());
  };
  const auto input = x.clone().set_requires_grad(true);
  value(input).backward();
  // Of every element, by what its change does to the value.
  const auto expect_slopes = [&](const at::Tensor& of, const at::Tensor& gradient) {
    constexpr double kStep = 1e-5;
    const at::Tensor flat = of.view({-1}), slopes = gradient.reshape({-1});
    for (std::int64_t i = 0; i < flat.numel(); ++i) {
      const auto moved = [&](double step) {
        flat[i].add_(step);
        const double result = value(x).item<double>();
        flat[i].sub_(step);
        return result;
      };
      EXPECT_NEAR(slopes[i].item<double>(), (moved(kStep) - moved(-kStep)) / (2 * kStep), 1e-7);
    }
  };
  expect_slopes(weight.tensor, f.sink.gradients.at(weight.index));
  expect_slopes(x, input.grad());
}

TEST(Router, JittersItsInputInTrainingOnlyAndAlikeForTheSameToken) {
  test::Fixture f;
  const auto weight = f.parameter(at::eye(4, at::kDouble));
  const auto x = at::ones({11, 4}, at::kDouble);
  const Router router(
      {.num_experts = 4, .num_experts_per_tok = 1, .training = {.seed = 7, .jitter_noise = 0.1}},
      Linear(weight));
  const auto logits = router.route(f.context, x).record.logits_TE;
  EXPECT_TRUE(logits.ge(0.9).logical_and(logits.le(1.1)).all().item<bool>());
  EXPECT_GT(logits.std().item<double>(), 0.03);
  EXPECT_TRUE(logits.equal(router.route(f.context, x).record.logits_TE));
  f.context.step = 1;
  EXPECT_FALSE(logits.equal(router.route(f.context, x).record.logits_TE));
  f.context.training = false;
  EXPECT_TRUE(router.route(f.context, x).record.logits_TE.equal(x));
}

TEST(Router, CountsChoicesBeforeItDropsThemAndDropsInTrainingOnly) {
  test::Fixture f;
  const auto weight = f.parameter(at::tensor({9., 1., 0., 0.}, at::kDouble).unsqueeze(1));
  const auto x = at::ones({11, 1}, at::kDouble);
  const Router router({.num_experts = 4,
                       .num_experts_per_tok = 2,
                       .training = {.capacity = {.factor = 0.5, .by_position = true}}},
                      Linear(weight));
  const Routing routing = router.route(f.context, x);
  EXPECT_TRUE(routing.record.count_E.equal(at::tensor({11, 11, 0, 0}, at::kLong)));
  EXPECT_EQ(routing.sent_TC.ge(0).sum().item<std::int64_t>(), 2 * 3);  // ceil(11 * 2 / 2 / 4)
  EXPECT_EQ(routing.record.dropped.item<std::int64_t>(), 22 - 6);
  f.context.training = false;
  EXPECT_EQ(router.route(f.context, x).sent_TC.ge(0).sum().item<std::int64_t>(), 22);
}

TEST(SwitchBalance, CountsTheChoicesThatCapacityDrops) {
  test::Fixture f;
  const auto& weight = f.parameter(at::randn({4, 3}, at::kDouble));
  const auto x = at::randn({11, 3}, at::kDouble);
  const auto balance_of = [&](double factor, std::int64_t* dropped) {
    const Router router(
        {.num_experts = 4, .num_experts_per_tok = 2, .training = {.capacity = {.factor = factor}}},
        Linear(weight));
    ModelOutput output{.hidden_TD = x, .routers = {router.route(f.context, x).record}};
    const at::Tensor& found_no_room = output.routers[0].dropped;
    *dropped = found_no_room.defined() ? found_no_room.item<std::int64_t>() : 0;
    const Linear head(weight);
    return SwitchBalance(1).evaluate({f.context, output, head, {11, 11, 1, 1}}).metric;
  };
  std::int64_t none = -1, some = -1;
  EXPECT_EQ(balance_of(0, &none), balance_of(0.5, &some));
  EXPECT_EQ(none, 0);
  EXPECT_GT(some, 0);
}

TEST(Grouping, KeepsTheOrderOfTokensInsideAnExpert) {
  const auto selected = at::tensor({2, 0, 0, 2, 1, 0}, at::kLong).view({3, 2});
  const Grouping grouping = Grouping::make(selected, 3);
  EXPECT_TRUE(grouping.copy_N.equal(at::tensor({1, 2, 5, 4, 0, 3}, at::kLong)));
  const auto x = at::randn({3, 4}, at::kDouble);
  EXPECT_TRUE(at::allclose(gather_from_groups(scatter_to_groups(x, grouping), grouping), x.mul(2)));
}

TEST(Grouping, CountsToTheOrderOfAStableSort) {
  for (const std::int64_t lowest : {0, -1}) {
    const auto selected = at::randint(lowest, 9, {200, 4}, at::kLong);
    const auto order = at::argsort(selected.flatten(), /*stable=*/true, 0, false);
    const Grouping grouping = Grouping::make(selected.t().contiguous().t(), 9);
    const std::int64_t nowhere = selected.lt(0).sum().item<std::int64_t>();
    EXPECT_EQ(nowhere > 0, lowest < 0);
    EXPECT_TRUE(grouping.copy_N.equal(order.narrow(0, nowhere, 800 - nowhere)));
  }
}

TEST(Grouping, LeavesOutCopiesThatGoNowhereAndFillsUpWithZeros) {
  const auto expert = at::tensor({2, -1, 0, 2, -1, -1}, at::kLong).view({3, 2});
  const auto x = at::randn({3, 4}, at::kDouble).set_requires_grad(true);
  const auto w = at::randn({3, 2}, at::kDouble).set_requires_grad(true);
  for (const std::int64_t padded : {0, 2}) {
    const Grouping g = Grouping::make(expert, 3, padded);
    const auto rows = scatter_to_groups(x, g);
    EXPECT_EQ(rows.size(0), padded == 0 ? 3 : 6);
    EXPECT_TRUE(g.count_E.equal(padded == 0 ? at::tensor({1, 0, 2}, at::kLong)
                                            : at::tensor({2, 2, 2}, at::kLong)));
    const auto y = gather_from_groups(rows.mul(weights_in_groups(w, g).unsqueeze(1)), g);
    const auto kept = w.mul(expert.ge(0)).sum(1, true);
    EXPECT_TRUE(at::allclose(y, x.mul(kept)));
    x.mutable_grad().reset();
    w.mutable_grad().reset();
    y.sum().backward();
    EXPECT_TRUE(at::allclose(x.grad(), kept.detach().expand_as(x)));
    EXPECT_TRUE(at::allclose(w.grad(), x.detach().sum(1, true).mul(expert.ge(0))));
  }
}

TEST(RoutingStats, AddsMicroBatchesAndMeasuresTheBusiestExpert) {
  RoutingStats stats;
  RouterRecord even, odd;
  even.count_E = at::tensor({2, 2, 2, 0}, at::kLong);
  odd.count_E = at::tensor({4, 1, 1, 0}, at::kLong);
  for (RouterRecord* record : {&even, &odd}) {
    record->selected_TK = at::zeros({3, 2}, at::kLong);
    record->num_experts = 3;  // the fourth computes nothing
  }
  odd.dropped = at::scalar_tensor(2, at::kLong);
  stats.add({even, odd});
  stats.add({even, odd});
  stats.reduce(Communicator::single());
  EXPECT_NEAR(stats.max_violations()[0], 4 / 3.0 - 1, 1e-12);
  EXPECT_NEAR(stats.max_violations()[1], 8 / 3.0 - 1, 1e-12);  // 8 of 12, mean 3
  EXPECT_NEAR(stats.entropies()[0], std::log(3) / std::log(4), 1e-12);
  EXPECT_EQ(stats.dead_experts(), 2);
  EXPECT_NEAR(stats.dropped_fraction(), 4 / 24.0, 1e-12);
  EXPECT_NEAR(stats.active_experts(), (24 - 4) / 12.0, 1e-12);  // of both layers' 12 tokens
  EXPECT_NEAR(stats.loads()[1][0], 8 / 12.0, 1e-12);
}

TEST(RoutingStats, IsZeroWithoutLayers) {
  RoutingStats stats;
  stats.add({});
  EXPECT_TRUE(stats.max_violations().empty());
  EXPECT_EQ(stats.dropped_fraction(), 0);
  EXPECT_EQ(stats.dead_experts(), 0);
  EXPECT_TRUE(stats.loads().empty());
}

}  // namespace
}  // namespace moesaic
