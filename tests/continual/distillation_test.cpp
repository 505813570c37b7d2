#include "continual/distillation.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "models/make_model.h"
#include "support/tiny_lora.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

using test::tiny_olmoe;
using test::TinyRun;

const RankContext& alone() {
  static const RankContext context = RankContext::single();
  return context;
}

Batch three_documents() {
  Batch batch = test::batch_of({3, 3, 5}, 31);
  batch.targets_T[4] = kNoTarget;
  return batch;
}

struct Pair {
  arch::Options arch = tiny_olmoe();
  TinyRun run{alone(), arch, three_documents(), {.target_tokens = 20, .micro_batches = 1}};
  std::shared_ptr<OldModel> old = std::make_shared<OldModel>(
      run.parameters, std::vector<LowRankPair>(), alone(), arch, run.computation,
      [this](const ParameterSet& parameters) {
        return make_model({.arch = arch}, parameters, alone());
      },
      true);
  Distillation distillation{old, {.lambda = 0.7, .temperature = 2}};

  // The weights move away from those of the old model.
  void move() {
    for (const Parameter& parameter : run.parameters)
      at::Tensor(parameter.tensor).add_(at::randn(parameter.tensor.sizes(), at::kDouble), 0.1);
  }
  /// Gradients go to the sink.
  TermValue evaluate(bool with_gradients) {
    const at::AutoGradMode mode(with_gradients);
    ForwardContext forward = run.computation.forward(run.batch);
    if (with_gradients) forward.sink = &run.sink;
    run.sink.gradients().clear();
    run.sink.begin({});
    const ModelOutput output = run.model.forward(forward);
    const TermValue value = distillation.evaluate({forward, output, run.model.head(), run.size});
    if (with_gradients) {
      value.loss.backward();
      run.sink.end();
    }
    return value;
  }
  at::Tensor logits(const Model& model) {
    const at::NoGradGuard none;
    const ForwardContext forward = run.computation.forward(run.batch);
    return at::matmul(model.forward(forward).hidden_TD, model.head().weight().tensor.t());
  }
};

TEST(Distillation, IsZeroAtTheOldModelAndNothingBeforeItKnows) {
  Pair pair;
  EXPECT_NEAR(pair.evaluate(false).metric, 0, 1e-15);
  Pair fresh;
  OldModel unknowing(
      fresh.run.parameters, {}, alone(), fresh.arch, fresh.run.computation,
      [&](const ParameterSet& p) { return make_model({.arch = fresh.arch}, p, alone()); }, false);
  EXPECT_FALSE(unknowing.knows());
  unknowing.take();
  EXPECT_TRUE(unknowing.knows());
}

// With what adapters make of the weights: magnitudes, too, beside a base that is kept as codes.
TEST(Distillation, ItsOldModelSaysWhatTheAdaptedModelSays) {
  for (const bool dora : {false, true}) {
    for (const char* base : {"master", "nf4"}) {
      LoraOptions lora = test::rank(2, 4);
      lora.use_dora = dora;
      lora.base = base;
      const arch::Options arch = tiny_olmoe();
      TinyRun run(alone(), arch, three_documents(), {.target_tokens = 20, .micro_batches = 1},
                        keep_activations, test::tiny_lora(lora, arch));
      OldModel old(
          run.parameters, low_rank_pairs(test::lora_recipe(lora), arch, run.parameters), alone(),
          arch, run.computation,
          [&](const ParameterSet& p) { return make_model({.arch = arch}, p, alone()); }, true);
      const at::NoGradGuard none;
      const ForwardContext mine = run.computation.forward(run.batch);
      const ForwardContext its = old.context(run.batch);
      EXPECT_TRUE(
          at::allclose(old.hidden(its), run.model.forward(mine).hidden_TD, 1e-8, 1e-10))
          << base << (dora ? ", magnitudes" : "");
    }
  }
}

TEST(Distillation, IsTheDivergenceAtTheTemperaturePerTargetToken) {
  Pair pair;
  const at::Tensor old = at::log_softmax(pair.logits(pair.run.model).div(2), 1);
  pair.move();
  const at::Tensor now = at::log_softmax(pair.logits(pair.run.model).div(2), 1);
  const at::Tensor distance = old.exp().mul(old.sub(now)).sum(1);
  const double expected =
      distance.masked_fill(pair.run.batch.targets_T.lt(0), 0).sum().item<double>();
  const TermValue value = pair.evaluate(false);
  EXPECT_NEAR(value.metric, 0.7 * 4 * expected / 20, 1e-12);
  EXPECT_NEAR(value.loss.item<double>(), value.metric, 1e-12);
}

// In a private run a unit's part is the mean over its own targets, whatever else is in the step.
TEST(Distillation, OfUnitsIsTheMeanOverEachOnesTargets) {
  Pair pair;
  pair.distillation =
      Distillation(pair.old, {.lambda = 0.7, .temperature = 2, .units = UnitMean{4.0}});
  const at::Tensor old = at::log_softmax(pair.logits(pair.run.model).div(2), 1);
  pair.move();
  const at::Tensor now = at::log_softmax(pair.logits(pair.run.model).div(2), 1);
  const at::Tensor distance =
      old.exp().mul(old.sub(now)).sum(1).masked_fill(pair.run.batch.targets_T.lt(0), 0);
  double expected = 0;  // the documents have 3, 3 and 5 rows, the second one a target less
  expected += distance.slice(0, 0, 3).sum().item<double>() / 3;
  expected += distance.slice(0, 3, 6).sum().item<double>() / 2;
  expected += distance.slice(0, 6, 11).sum().item<double>() / 5;
  EXPECT_NEAR(pair.evaluate(false).metric, 0.7 * 4 * expected / 4.0, 1e-12);
}

// bool [31]: the first `count` outputs.
at::Tensor first_outputs(std::int64_t count) { return at::arange(31).lt(count); }

// Rows of a new task may have other outputs alone: the old ones are what is compared.
TEST(Distillation, IsOverTheOutputsThatTheOldModelHasLearned) {
  Pair pair;
  pair.old->limit_outputs();
  pair.old->learned(first_outputs(3));
  pair.old->learned(first_outputs(7));
  const auto of_both = [&] {
    return at::log_softmax(pair.logits(pair.run.model).narrow(1, 0, 7).div(2), 1);
  };
  const at::Tensor old = of_both();
  pair.move();
  const at::Tensor distance = old.exp().mul(old.sub(of_both())).sum(1);
  const double expected =
      distance.masked_fill(pair.run.batch.targets_T.lt(0), 0).sum().item<double>();
  pair.run.batch.allowed_TV = first_outputs(7).logical_not().expand({11, 31});
  EXPECT_NEAR(pair.evaluate(false).metric, 0.7 * 4 * expected / 20, 1e-12);
  EXPECT_GT(expected, 0);
}

TEST(Distillation, WithAnOldModelThatSaysAllTheOutputsOfARowDoNotMatter) {
  Pair pair;
  pair.move();
  const double all = pair.evaluate(false).metric;
  pair.run.batch.allowed_TV = first_outputs(7).expand({11, 31});
  EXPECT_EQ(pair.evaluate(false).metric, all);
}

TEST(OldModel, KeepsTheOutputsThatItHasLearned) {
  Pair pair;
  const std::size_t unlimited = pair.old->state().size();
  EXPECT_FALSE(pair.old->outputs().defined());
  pair.old->limit_outputs();
  EXPECT_EQ(pair.old->outputs().sum().item<std::int64_t>(), 0);
  pair.old->learned(first_outputs(4));
  EXPECT_TRUE(pair.old->outputs().equal(first_outputs(4)));
  const StateDict state = pair.old->state();
  ASSERT_EQ(state.size(), unlimited + 1);
  EXPECT_EQ(state.back().name, "old_model/outputs");
  at::Tensor(state.back().tensor).fill_(1);  // as a checkpoint does
  EXPECT_TRUE(pair.old->outputs().equal(first_outputs(31)));
}

enum class DistillationKind { kTargets, kUnits, kLimited };
class GradientOfDistillation : public ::testing::TestWithParam<DistillationKind> {};
INSTANTIATE_TEST_SUITE_P(Distillation, GradientOfDistillation,
                         ::testing::Values(DistillationKind::kTargets, DistillationKind::kUnits,
                                           DistillationKind::kLimited));

TEST_P(GradientOfDistillation, IsThatOfFiniteDifferences) {
  constexpr double kStep = 1e-5;
  Pair pair;
  if (GetParam() == DistillationKind::kUnits)
    pair.distillation =
        Distillation(pair.old, {.lambda = 0.7, .temperature = 2, .units = UnitMean{4.0}});
  if (GetParam() == DistillationKind::kLimited) {
    pair.old->limit_outputs();
    pair.old->learned(first_outputs(7));
  }
  pair.move();
  pair.evaluate(true);
  std::vector<at::Tensor> gradients;  // before the next evaluation empties them
  for (const Parameter& parameter : pair.run.parameters)
    gradients.push_back(pair.run.gradient(parameter).reshape(-1).clone());
  std::int64_t checked = 0;
  for (const Parameter& parameter : pair.run.parameters) {
    const at::Tensor& gradient = gradients[static_cast<std::size_t>(parameter.index)];
    at::Tensor values = parameter.tensor.view(-1);
    const std::int64_t i = parameter.index % values.numel();  // one value of each
    const double wanted = gradient[i].item<double>(), value = values[i].item<double>();
    values[i].fill_(value + kStep);
    const double above = pair.evaluate(false).metric;
    values[i].fill_(value - kStep);
    const double below = pair.evaluate(false).metric;
    values[i].fill_(value);
    EXPECT_NEAR(wanted, (above - below) / (2 * kStep), 1e-7) << parameter.name;
    checked += wanted != 0;
  }
  EXPECT_GT(checked, 5);
}

}  // namespace
}  // namespace moesaic
