#include "continual/penalty.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "continual/anchored_decay.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

at::Tensor normal(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }
at::Tensor positive(at::IntArrayRef shape) { return at::rand(shape, at::kDouble); }

ParameterSet weight_and_router() {
  std::vector<Parameter> parameters = {test::parameter_of("weight", normal({4, 3})),
                                       test::parameter_of("router", normal({2, 3}))};
  parameters[1].group = arch::Group::kRouter;
  return ParameterSet(std::move(parameters));
}

Importance learned(const ParameterSet& set) {
  Importance importance;
  for (const Parameter& parameter : set)
    importance.push_back({positive(parameter.tensor.sizes()), normal(parameter.tensor.sizes())});
  return importance;
}

// sum of F (w - a)^2
double distance(const ParameterImportance& of, const at::Tensor& weight) {
  return of.fisher.mul(weight.sub(of.anchor).square()).sum().item<double>();
}

struct Pulled {
  double loss = 0;
  std::vector<at::Tensor> gradients;
};

Pulled pull(Penalty& penalty, const ParameterSet& set) {
  Pulled pulled;
  Gradients gradients;
  for (const Parameter& parameter : set) {
    if (!parameter.trainable) continue;
    pulled.gradients.push_back(at::zeros_like(parameter.tensor));
    gradients.entries.push_back({parameter, pulled.gradients.back()});
  }
  MetricsRow report;
  penalty.apply(RankContext::single(), {}, gradients, report);
  EXPECT_EQ(report.values.size(), 1U);
  EXPECT_EQ(report.values[0].second, penalty.loss());
  pulled.loss = penalty.loss();
  return pulled;
}

// The gradient of every trainable value is the central difference of the loss.
void expect_gradient_of_loss(Penalty& penalty, const ParameterSet& set) {
  constexpr double kStep = 1e-4;
  const Pulled here = pull(penalty, set);
  std::size_t entry = 0;
  for (const Parameter& parameter : set) {
    if (!parameter.trainable) continue;
    at::Tensor values = parameter.tensor.view(-1);
    const at::Tensor gradient = here.gradients[entry++].reshape(-1);
    for (std::int64_t i = 0; i < values.numel(); ++i) {
      const double value = values[i].item<double>();
      values[i].fill_(value + kStep);
      const double above = pull(penalty, set).loss;
      values[i].fill_(value - kStep);
      const double below = pull(penalty, set).loss;
      values[i].fill_(value);
      EXPECT_NEAR(gradient[i].item<double>(), (above - below) / (2 * kStep), 1e-6)
          << parameter.name << " " << i;
    }
  }
}

TEST(Penalty, PullsByATermOfEachTask) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kTerm});
  Penalty penalty(remembered, {"ewc", 3.0, 5.0});
  EXPECT_EQ(pull(penalty, set).loss, 0);  // nothing is known yet

  const Importance first = learned(set), second = learned(set);
  remembered.join(RankContext::single(), first);
  remembered.join(RankContext::single(), second);
  double expected = 0;
  for (const Importance& task : {first, second})
    expected += 1.5 * distance(task[0], set[0].tensor) + 2.5 * distance(task[1], set[1].tensor);
  EXPECT_NEAR(pull(penalty, set).loss, expected, 1e-10);
  expect_gradient_of_loss(penalty, set);
}

TEST(Penalty, OnlineKeepsOneDecayingTermAndTheNewestAnchor) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kRunning, .decay = 0.5});
  Penalty penalty(remembered, {"online_ewc", 2.0});
  const Importance first = learned(set), second = learned(set);
  remembered.join(RankContext::single(), first);
  remembered.join(RankContext::single(), second);
  double expected = 0;
  for (std::size_t i = 0; i < set.size(); ++i) {
    expected +=
        distance({first[i].fisher.mul(0.5).add(second[i].fisher), second[i].anchor}, set[i].tensor);
  }
  EXPECT_NEAR(pull(penalty, set).loss, expected, 1e-10);
  expect_gradient_of_loss(penalty, set);
}

TEST(Penalty, L2PullsToTheStartingWeightsAndThenToTheNewest) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kAnchor, .knows = true});
  Penalty penalty(remembered, {"l2", 4.0});
  const at::Tensor start = set[0].tensor.clone();
  EXPECT_EQ(pull(penalty, set).loss, 0);
  at::Tensor(set[0].tensor).add_(1);
  EXPECT_NEAR(pull(penalty, set).loss, 2.0 * 12, 1e-10);
  expect_gradient_of_loss(penalty, set);
  remembered.join(RankContext::single(), Importance(set.size()));
  EXPECT_EQ(pull(penalty, set).loss, 0);
  EXPECT_FALSE(at::equal(remembered.find(set[0])->anchor, start));
}

TEST(Penalty, LeavesWhatNothingIsKnownOf) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kTerm});
  Penalty penalty(remembered, {"ewc", 1.0});
  Importance only_first = learned(set);
  only_first[1] = {};
  remembered.join(RankContext::single(), only_first);
  const Pulled pulled = pull(penalty, set);
  EXPECT_NE(pulled.gradients[0].abs().max().item<double>(), 0);
  EXPECT_EQ(pulled.gradients[1].abs().max().item<double>(), 0);
}

TEST(Penalty, NamesALambdaThatOvershoots) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kTerm});
  Importance importance = learned(set);
  importance[0].fisher.fill_(0.5);
  importance[0].fisher[1][2].fill_(8);
  remembered.join(RankContext::single(), importance);
  const Step step{.learning_rate = 0.1};
  EXPECT_EQ(Penalty(remembered, {"ewc", 1.0}).suspicion(RankContext::single(), step), "");
  const std::string text =
      Penalty(remembered, {"ewc", 100.0}).suspicion(RankContext::single(), step);
  EXPECT_NE(text.find("continual.lambda 100 is too large"), std::string::npos) << text;
  EXPECT_NE(text.find("largest importance, 8"), std::string::npos) << text;
  EXPECT_NE(text.find("try 2.5 or less"), std::string::npos) << text;
}

TEST(Penalty, ThatRunsAwayIsInfiniteAndSaysWhatToLower) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kAnchor, .knows = true});
  Penalty penalty(remembered, {"l2", 4.0});
  at::Tensor(set[0].tensor).add_(1e3);
  EXPECT_NEAR(pull(penalty, set).loss, 2.0 * 12 * 1e6, 1e-3);
  at::Tensor(set[0].tensor).add_(1e4);
  EXPECT_TRUE(std::isinf(pull(penalty, set).loss));
  const std::string text = penalty.suspicion(RankContext::single(), {.learning_rate = 0.1});
  EXPECT_EQ(text, "; the weights run away: lower continual.lambda, 4");
}

// A frozen weight and its factors; of two experts, too.
struct Adapted {
  ParameterSet set;
  std::vector<LowRankPair> pairs;

  static Adapted make() {
    std::vector<Parameter> parameters = {test::parameter_of("w.weight", normal({5, 4})),
                                         test::parameter_of("w.a", normal({2, 4})),
                                         test::parameter_of("w.b", normal({5, 2})),
                                         test::expert_of("e.weight", normal({2, 3, 4}), 0, 2),
                                         test::expert_of("e.a", normal({2, 2, 4}), 0, 2),
                                         test::expert_of("e.b", normal({2, 3, 2}), 0, 2)};
    for (Parameter& parameter : parameters) {
      const bool weight = parameter.name.ends_with(".weight");
      parameter.trainable = parameter.adapter = !weight;
    }
    return Adapted{ParameterSet(std::move(parameters)), {}};
  }
  std::vector<LowRankPair> all_pairs() const {
    return {{set[0], set[1], set[2], 0.7}, {set[3], set[4], set[5], 1.5}};
  }
  // What the factors make of a weight: built whole, by other products.
  at::Tensor change(std::size_t weight, double scale) const {
    return at::matmul(set[weight + 2].tensor, set[weight + 1].tensor).mul(scale);
  }
};

TEST(Penalty, OfAdaptersIsOnTheChangeOfTheWeight) {
  const Adapted adapted = Adapted::make();
  Remembered remembered(adapted.set, adapted.all_pairs(), nullptr,
                        {.joining = Joining::kTerm, .changes = true});
  Penalty penalty(remembered, {"ewc", 3.0});
  const Importance first = learned(adapted.set), second = learned(adapted.set);
  remembered.join(RankContext::single(), first);
  remembered.join(RankContext::single(), second);
  const at::Tensor dense = adapted.set[0].tensor.add(adapted.change(0, 0.7));
  const at::Tensor experts = adapted.set[3].tensor.add(adapted.change(3, 1.5));
  double expected = 0;
  for (const Importance& task : {first, second})
    expected += 1.5 * (distance(task[0], dense) + distance(task[3], experts));
  EXPECT_NEAR(pull(penalty, adapted.set).loss, expected, 1e-9);
  expect_gradient_of_loss(penalty, adapted.set);
}

TEST(Penalty, OfAdaptersPullsToTheBaseWithoutAnAnchor) {
  const Adapted adapted = Adapted::make();
  Remembered remembered(adapted.set, adapted.all_pairs(), nullptr, {.joining = Joining::kTerm});
  Penalty penalty(remembered, {"ewc", 2.0});
  Importance importance = learned(adapted.set);
  for (ParameterImportance& of : importance) of.anchor.reset();
  remembered.join(RankContext::single(), importance);
  const double expected =
      importance[0].fisher.mul(adapted.change(0, 0.7).square()).sum().item<double>() +
      importance[3].fisher.mul(adapted.change(3, 1.5).square()).sum().item<double>();
  EXPECT_NEAR(pull(penalty, adapted.set).loss, expected, 1e-10);
  expect_gradient_of_loss(penalty, adapted.set);
}

TEST(Penalty, OfAdaptersRemembersTheChangeThatATaskHasLeft) {
  const Adapted adapted = Adapted::make();
  Remembered remembered(adapted.set, adapted.all_pairs(), nullptr,
                        {.joining = Joining::kAnchor, .changes = true, .knows = true});
  Penalty penalty(remembered, {"l2", 2.0});
  EXPECT_NEAR(pull(penalty, adapted.set).loss, 0, 1e-20) << "the anchor is where the run starts";
  const at::Tensor dense = adapted.change(0, 0.7), experts = adapted.change(3, 1.5);
  for (const std::size_t b : {2U, 5U}) at::Tensor(adapted.set[b].tensor).mul_(3);
  const double moved =
      dense.mul(2).square().sum().item<double>() + experts.mul(2).square().sum().item<double>();
  EXPECT_NEAR(pull(penalty, adapted.set).loss, moved, 1e-10);
  remembered.join(RankContext::single(), Importance(adapted.set.size()));
  EXPECT_NEAR(pull(penalty, adapted.set).loss, 0, 1e-20);
}

// Of files, the anchor of the newest is what the model was before its weights were rounded.
TEST(Penalty, OfAdaptersBesideCodesIsOnTheChangeFromTheWeightsBeforeThem) {
  const at::Tensor weight = normal({2, 8, 64});
  std::vector<Parameter> parameters = {test::quantised_of("e.weight", arch::Storage::kNf4, weight),
                                       test::expert_of("e.a", normal({2, 2, 64}), 0, 2),
                                       test::expert_of("e.b", normal({2, 8, 2}), 0, 2)};
  for (const std::size_t i : {1U, 2U}) parameters[i].adapter = true;
  const ParameterSet set(std::move(parameters));
  Remembered remembered(set, {{set[0], set[1], set[2], 0.5}}, nullptr,
                        {.joining = Joining::kTerm, .changes = true});
  const auto importances = [&](const at::Tensor& anchor) {
    Importance importance(set.size());
    importance[0] = {positive(anchor.sizes()), anchor};
    return importance;
  };
  const Importance older = importances(normal({2, 8, 64})), newest = importances(weight);
  for (const Importance& file : {older, newest})
    remembered.join(RankContext::single(), file, newest);
  Penalty penalty(remembered, {"ewc", 2.0});
  const at::Tensor start = at::matmul(set[2].tensor, set[1].tensor).mul(0.5);
  at::Tensor(set[1].tensor).mul_(3);
  const at::Tensor whole = weight.add(start, 2);  // on the way from where it was, `weight`
  EXPECT_NEAR(pull(penalty, set).loss, distance(older[0], whole) + distance(newest[0], whole),
              1e-9);
  expect_gradient_of_loss(penalty, set);
}

// PiSSA keeps what is left of the weight: its factors are no change of the model.
TEST(Penalty, OfPissaIsZeroWhereTheRunStarts) {
  const at::Tensor a = normal({2, 4}), b = normal({5, 2}), weight = normal({5, 4});
  std::vector<Parameter> parameters = {
      test::parameter_of("w.weight", weight.sub(at::matmul(b, a), 0.7)),
      test::parameter_of("w.a", a.clone()), test::parameter_of("w.b", b)};
  for (Parameter& parameter : parameters)
    parameter.adapter = parameter.trainable = parameter.name != "w.weight";
  const ParameterSet set(std::move(parameters));
  const LowRankPair pair{set[0], set[1], set[2], 0.7};
  Remembered remembered(set, {pair}, nullptr, {.joining = Joining::kTerm, .changes = true});
  Importance importance(set.size());
  importance[0] = {positive({5, 4}), weight};
  remembered.join(RankContext::single(), importance, importance);
  Penalty penalty(remembered, {"ewc", 2.0});
  EXPECT_NEAR(pull(penalty, set).loss, 0, 1e-20);
  at::Tensor(set[1].tensor).mul_(2);
  EXPECT_NEAR(pull(penalty, set).loss,
              importance[0].fisher.mul(at::matmul(b, a).mul(0.7).square()).sum().item<double>(),
              1e-10);
}

TEST(Penalty, DoesNotPullWhatIsNotUpdated) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kTerm});
  remembered.join(RankContext::single(), learned(set));
  const auto gradient_of = [&](std::optional<std::vector<RowRange>> updated) {
    Gradients gradients{{{.parameter = set[0],
                          .gradient = at::zeros({4, 3}, at::kDouble),
                          .updated = std::move(updated)}}};
    MetricsRow report;
    Penalty penalty(remembered, {"ewc", 2.0});
    penalty.apply(RankContext::single(), {}, gradients, report);
    return std::pair(gradients.entries[0].gradient, penalty.loss());
  };
  const auto [all, loss_of_all] = gradient_of(std::nullopt);
  const auto [some, loss] = gradient_of(std::vector<RowRange>{{1, 2}});
  EXPECT_EQ(loss, loss_of_all);
  EXPECT_TRUE(at::equal(some.narrow(0, 1, 2), all.narrow(0, 1, 2)));
  EXPECT_EQ(some[0].abs().sum().item<double>() + some[3].abs().sum().item<double>(), 0);
}

TEST(AnchoredDecay, LeavesAloneWhatIsNotUpdated) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kTerm});
  remembered.join(RankContext::single(), learned(set));
  const auto optimizer =
      decaying_to_anchors(make_adamw(set, {.weight_decay = 0.5}), remembered, 0.5);
  const at::Tensor start = set[0].tensor.clone();
  Gradients gradients{{{.parameter = set[0],
                        .gradient = at::zeros({4, 3}, at::kDouble),
                        .updated = std::vector<RowRange>{{1, 2}}}}};
  optimizer->step(gradients, 1, 0.1);
  const at::Tensor way = set[0].tensor.sub(start).abs().sum(1);
  EXPECT_EQ(way[0].item<double>() + way[3].item<double>(), 0);
  EXPECT_GT(way[1].item<double>(), 0);
}

TEST(AnchoredDecay, DecaysToTheAnchorOnceSomethingIsKnown) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kTerm});
  const auto optimizer =
      decaying_to_anchors(make_adamw(set, {.weight_decay = 0.5}), remembered, 0.5);
  const auto step = [&] {
    Gradients gradients{{{set[0], at::zeros({4, 3}, at::kDouble)}}};
    optimizer->step(gradients, 1, 0.1);
  };
  const at::Tensor start = set[0].tensor.clone();
  step();  // no gradient: the decay alone moves it
  EXPECT_TRUE(at::allclose(set[0].tensor, start.mul(0.95), 1e-12, 1e-14));

  const Importance importance = learned(set);
  remembered.join(RankContext::single(), importance);
  const at::Tensor anchor = remembered.find(set[0])->anchor, before = set[0].tensor.clone();
  EXPECT_TRUE(at::equal(anchor, importance[0].anchor));
  step();
  const at::Tensor expected = before.sub(before.sub(anchor).mul(0.05));
  EXPECT_TRUE(at::allclose(set[0].tensor, expected, 1e-12, 1e-14));
}

TEST(AnchoredDecay, MovesNothingThatIsAtItsAnchor) {
  const ParameterSet set = weight_and_router();
  Remembered remembered(set, {}, nullptr, {.joining = Joining::kRunning});
  Importance importance = learned(set);
  importance[0].anchor = set[0].tensor.clone();
  remembered.join(RankContext::single(), importance);
  const auto optimizer =
      decaying_to_anchors(make_adamw(set, {.weight_decay = 0.3}), remembered, 0.3);
  for (std::int64_t step = 1; step <= 5; ++step) {
    Gradients gradients{{{set[0], at::zeros({4, 3}, at::kDouble)}}};
    optimizer->step(gradients, step, 0.07);
  }
  EXPECT_TRUE(at::equal(set[0].tensor, importance[0].anchor));
}

}  // namespace
}  // namespace moesaic
