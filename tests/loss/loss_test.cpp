#include <ATen/ops/allclose.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "loss/balance.h"
#include "loss/cross_entropy.h"
#include "support/capture_sink.h"
#include "support/file_blocks.h"

namespace moesaic {
namespace {

using test::Fixture;

struct Problem : Fixture {
  const Parameter& weight = parameter(at::randn({11, 6}, at::kDouble));
  Linear head{weight};
  at::Tensor hidden = at::randn({11, 6}, at::kDouble).set_requires_grad(true);
  std::vector<RouterRecord> routers;
  std::vector<at::Tensor> ahead;
  StepSize size{40, 44, 4};
  ModelOutput output;

  StepView view() {
    output = {hidden, routers, ahead};
    return {context, output, head, size};
  }
};

TEST(CrossEntropy, IsTheSumOverTargetsDividedByTheTargetsOfTheStep) {
  Problem p;
  p.batch.targets_T[4] = kNoTarget;
  const auto value = CrossEntropy().evaluate(p.view());
  value.loss.backward();
  const auto x = p.hidden.detach().clone().set_requires_grad(true);
  const auto w = p.weight.tensor.clone().set_requires_grad(true);
  const auto wanted = at::nll_loss(at::log_softmax(at::mm(x, w.t()), 1), p.batch.targets_T, {},
                                   at::Reduction::Sum, kNoTarget)
                          .div(40);
  wanted.backward();
  EXPECT_NEAR(value.metric, wanted.item<double>(), 1e-12);
  EXPECT_NEAR(value.loss.item<double>(), value.metric, 1e-12);
  EXPECT_TRUE(at::allclose(p.hidden.grad(), x.grad(), 1e-10, 1e-14));
  EXPECT_TRUE(at::allclose(p.sink.gradients.at(0), w.grad(), 1e-10, 1e-14));
  EXPECT_EQ(p.sink.open_operations.at(0), 0);
}

// Against LibTorch's own graph. `some`: two rows have no target.
void expect_bias_and_outputs(bool some) {
  Problem p;
  const Parameter& bias = p.parameter(at::randn({11}, at::kDouble));
  p.head = Linear(p.weight, &bias);
  const at::Tensor targets_T1 = p.batch.targets_T.unsqueeze(1);
  p.batch.allowed_TV = at::rand({11, 11}, at::kDouble).gt(0.5).scatter(1, targets_T1, true);
  const at::Tensor others_TV = p.batch.allowed_TV.logical_not();
  for (const int row : {2, 7})
    if (some) p.batch.targets_T[row] = kNoTarget;
  const auto value = CrossEntropy().evaluate(p.view());
  value.loss.backward();
  const auto x = p.hidden.detach().clone().set_requires_grad(true);
  const auto w = p.weight.tensor.clone().set_requires_grad(true);
  const auto b = bias.tensor.clone().set_requires_grad(true);
  const auto logits = at::mm(x, w.t()).add(b).masked_fill(others_TV, -1e300);
  const auto loss_T =
      at::nll_loss(at::log_softmax(logits, 1), p.batch.targets_T, {}, at::Reduction::None, kNoTarget);
  loss_T.sum().div(40).backward();
  EXPECT_NEAR(value.metric, loss_T.sum().item<double>() / 40, 1e-12);
  EXPECT_TRUE(at::allclose(p.hidden.grad(), x.grad(), 1e-10, 1e-14));
  EXPECT_TRUE(at::allclose(p.sink.gradients.at(0), w.grad(), 1e-10, 1e-14));
  EXPECT_TRUE(at::allclose(p.sink.gradients.at(1), b.grad(), 1e-10, 1e-14));
  EXPECT_EQ(p.sink.open_operations.at(1), 0);

  // The same pieces can be had again.
  const std::map<std::int64_t, at::Tensor> first = std::exchange(p.sink.gradients, {});
  for (const HandOverAgain& again : std::exchange(p.sink.again, {}))
    again([&](const ParameterUse& use) { p.sink.add(use); });
  EXPECT_TRUE(p.sink.gradients.at(0).equal(first.at(0)));
  EXPECT_TRUE(p.sink.gradients.at(1).equal(first.at(1)));

  const ForwardContext forward = p.computation.forward(p.batch);
  const auto own_T = token_losses(forward, p.head, p.hidden, p.batch.targets_T);
  EXPECT_TRUE(at::allclose(own_T, loss_T.detach(), 1e-10, 1e-12));
  const auto found = logits.argmax(1).eq(p.batch.targets_T).sum().item<std::int64_t>();
  EXPECT_EQ(count_found(forward, p.head, p.hidden, p.batch.targets_T), found);
}

TEST(CrossEntropy, KnowsTheBiasOfAHeadAndTheOutputsThatARowMayHave) {
  expect_bias_and_outputs(/*some=*/false);
  expect_bias_and_outputs(/*some=*/true);
}

TEST(FurtherCrossEntropy, IsThatOfTheTokensFurtherAheadWithinEachSequence) {
  Problem p;  // sequences of 3, 3 and 5 tokens
  p.batch.targets_T[4] = kNoTarget;
  const auto second = at::randn({11, 6}, at::kDouble).set_requires_grad(true);
  p.ahead = {p.hidden, second};
  const auto value = FurtherCrossEntropy(0.3).evaluate(p.view());
  value.loss.backward();
  const auto w = p.weight.tensor.clone().set_requires_grad(true);
  const auto x = p.hidden.detach().clone().set_requires_grad(true);
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (const auto& [first, end] : {std::pair{0, 3}, std::pair{3, 6}, std::pair{6, 11}}) {
    for (int depth = 1; depth <= 2; ++depth) {
      for (int t = first; t + depth < end; ++t) {
        const auto target = p.batch.targets_T[t + depth].item<std::int64_t>();
        const auto& hidden = depth == 1 ? x : second;
        if (target >= 0) sum = sum.sub(at::log_softmax(w.matmul(hidden[t]), 0)[target]);
      }
    }
  }
  const auto wanted = sum.div(2 * 40);
  EXPECT_NEAR(value.metric, wanted.item<double>(), 1e-12);
  EXPECT_NEAR(value.loss.item<double>(), 0.3 * value.metric, 1e-12);
  wanted.mul(0.3).backward();
  EXPECT_TRUE(at::allclose(p.hidden.grad(), x.grad(), 1e-10, 1e-14));
  EXPECT_TRUE(at::allclose(p.sink.gradients.at(0), w.grad(), 1e-10, 1e-14));
}

TEST(CrossEntropy, CompletesItsParameterWithoutTokens) {
  Problem p;
  p.batch = empty_batch();
  p.hidden = at::randn({0, 6}, at::kDouble).set_requires_grad(true);
  const auto value = CrossEntropy().evaluate(p.view());
  value.loss.backward();
  EXPECT_EQ(value.metric, 0);
  EXPECT_EQ(p.sink.open_operations.at(0), 0);
  EXPECT_EQ(p.sink.gradients.at(0).abs().sum().item<double>(), 0);
}

// More rows than a block of the vocabulary has, targets in each of its blocks, none, and the last.
TEST(TokenLosses, OfAHeadThatIsConvertedInPartsAreThoseOfAHeadThatFits) {
  Problem p;
  const auto stored = at::randn({9000, 6}, at::kDouble).to(at::kBFloat16);
  p.batch.targets_T =
      at::tensor({0, 1, 4095, 4096, 8191, 8192, 8999, 17, 5000, 4097, 3}, at::kLong);
  p.batch.targets_T[9] = kNoTarget;
  Computation none = p.computation;
  none.weights = WeightCopies(/*keep=*/false);
  const auto hidden = p.hidden.detach();
  const auto losses = token_losses(none.forward(p.batch), Linear(p.parameter(stored, "stored")),
                                   hidden, p.batch.targets_T);
  const auto wanted = at::nll_loss(at::log_softmax(at::mm(hidden, stored.to(at::kDouble).t()), 1),
                                   p.batch.targets_T, {}, at::Reduction::None, kNoTarget);
  EXPECT_EQ(losses.scalar_type(), at::kDouble);
  EXPECT_TRUE(at::allclose(losses, wanted, 1e-12, 1e-12)) << losses << wanted;
}

TEST(TokenLosses, OfAHeadInTheBlocksOfAFileAreThoseOfItsNumbers) {
  Problem p;
  p.hidden = at::randn({11, 64}, at::kDouble);
  p.batch.targets_T = at::tensor({0, 1, 4095, 4096, 4999, 7, 9, 17, 3000, 4097, 3}, at::kLong);
  p.batch.targets_T[9] = kNoTarget;
  for (const test::BlockType& type : test::block_types()) {
    if (type.type.values > 64) continue;
    p.parameters.push_back(test::parameter_in_blocks("head", type, {5000, 64}));
    const Parameter& head = p.parameters.back();
    const auto losses = token_losses(p.context, Linear(head), p.hidden, p.batch.targets_T);
    const auto logits = at::mm(p.hidden, head.quantised.matrix(0, at::kDouble).t());
    const auto wanted = at::nll_loss(at::log_softmax(logits, 1), p.batch.targets_T, {},
                                     at::Reduction::None, kNoTarget);
    EXPECT_TRUE(at::allclose(losses, wanted, 1e-12, 1e-12)) << type.type.name;
  }
}

RouterRecord record_of(const at::Tensor& logits, std::int64_t k) {
  const auto p = at::softmax(logits, 1);
  const auto chosen = std::get<1>(at::topk(p.detach(), k, 1));
  return {logits, p, chosen, at::bincount(chosen.flatten(), {}, logits.size(1))};
}

TEST(SwitchBalance, IsOneAtBalanceWhateverTheNumberOfChoices) {
  Problem p;
  const auto logits =
      at::tensor({1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1.}, at::kDouble)
          .view({4, 4});
  p.routers = {record_of(logits, 1), record_of(logits, 4)};
  p.size.micro_batches = 1;
  const auto value = SwitchBalance(0.01).evaluate(p.view());
  EXPECT_NEAR(value.metric, 1.0, 1e-12);                // mean over the layers
  EXPECT_NEAR(value.loss.item<double>(), 0.02, 1e-12);  // coefficient times the sum over the layers
}

TEST(SwitchBalance, CountsTheChoicesAndDividesByThem) {
  Problem p;
  p.size.micro_batches = 4;
  const auto logits = at::randn({9, 5}, at::kDouble).set_requires_grad(true);
  p.routers = {record_of(logits, 2)};
  const auto value = SwitchBalance(0.5).evaluate(p.view());
  double wanted = 0;
  for (int e = 0; e < 5; ++e) {
    wanted += p.routers[0].count_E[e].item<double>() / (2 * 9.0) *
              p.routers[0].probabilities_TE.select(1, e).mean().item<double>();
  }
  EXPECT_NEAR(value.metric, 5 * wanted / 4, 1e-12);
  value.loss.backward();
  EXPECT_GT(logits.grad().abs().max().item<double>(), 0);
}

// The sum over the experts of a * b, written out.
double products(const at::Tensor& a, const at::Tensor& b) {
  double sum = 0;
  for (std::int64_t e = 0; e < a.size(0); ++e)
    sum += a[e].to(at::kDouble).item<double>() * b[e].item<double>();
  return sum;
}

TEST(GshardBalance, CountsFirstChoicesAndDoesNotDependOnTheirNumber) {
  Problem p;
  p.size.micro_batches = 3;
  const auto logits = at::randn({9, 5}, at::kDouble);
  p.routers = {record_of(logits, 3)};
  const auto first = at::bincount(p.routers[0].selected_TK.select(1, 0), {}, 5).to(at::kDouble);
  const double wanted = 5 * products(first.div(9), p.routers[0].probabilities_TE.mean(0)) / 3;
  EXPECT_NEAR(GshardBalance(0.5).evaluate(p.view()).metric, wanted, 1e-12);
  p.routers = {record_of(logits, 1)};
  EXPECT_NEAR(GshardBalance(0.5).evaluate(p.view()).metric, wanted, 1e-12);
}

TEST(SequenceBalance, CountsTheTopScoresOfEachSequenceWhateverABiasChose) {
  Problem p;  // sequences of 3, 3 and 5 tokens
  p.size.documents = 7;
  const auto logits = at::randn({11, 5}, at::kDouble).set_requires_grad(true);
  p.routers = {record_of(logits, 2)};
  const auto probabilities = p.routers[0].probabilities_TE;
  double wanted = 0;
  for (const auto& [first, tokens] : {std::pair{0, 3}, std::pair{3, 3}, std::pair{6, 5}}) {
    const auto best = std::get<1>(at::topk(probabilities.narrow(0, first, tokens), 2, 1));
    const auto count = at::bincount(best.flatten(), {}, 5).to(at::kDouble);
    wanted += 5 * products(count.div(2 * tokens), probabilities.narrow(0, first, tokens).mean(0));
  }
  p.routers[0].selected_TK = at::zeros_like(p.routers[0].selected_TK);  // what a bias might choose
  const auto value = SequenceBalance(0.5).evaluate(p.view());
  EXPECT_NEAR(value.metric, wanted / 7, 1e-12);
  value.loss.backward();
  EXPECT_GT(logits.grad().abs().max().item<double>(), 0);
}

TEST(SequenceBalance, OfTwoDocumentsInOneExampleIsTheMeanOfBoth) {
  Problem p;
  const auto logits = at::randn({11, 5}, at::kDouble);
  const auto value = [&](const Batch& batch, std::int64_t first) {
    p.batch = batch;
    p.size.documents = batch.documents();
    p.routers = {record_of(logits.narrow(0, first, batch.tokens()), 2)};
    return SequenceBalance(0.5).evaluate(p.view()).metric;
  };
  const double one = value(test::batch_of({4}, 11), 0), other = value(test::batch_of({7}, 11), 4);
  EXPECT_NE(one, other);
  EXPECT_NEAR(value(test::batch_of({4, 7}, 11, 0, /*one_example=*/true), 0), (one + other) / 2,
              1e-12);
}

TEST(GlobalBalance, CountsEarlierRoundsAndMeansOverTheTokensOfTheStep) {
  Problem p;
  p.size.input_tokens = 20;
  const auto logits = at::randn({9, 5}, at::kDouble);
  p.routers = {record_of(logits, 2)};
  const RouterRecord now = p.routers[0], earlier = record_of(at::randn({7, 5}, at::kDouble), 2);
  const auto wanted = [&](const at::Tensor& count_E) {
    const auto share = count_E.to(at::kDouble).div(count_E.sum().item<double>());
    return 5 * products(share, now.probabilities_TE.sum(0)) / 20;
  };
  GlobalBalance balance(0.5);
  balance.begin_step();
  p.routers = {earlier};
  balance.evaluate(p.view());
  p.routers = {now};
  EXPECT_NEAR(balance.evaluate(p.view()).metric, wanted(now.count_E.add(earlier.count_E)), 1e-12);
  balance.begin_step();  // nothing of the step before counts
  EXPECT_NEAR(balance.evaluate(p.view()).metric, wanted(now.count_E), 1e-12);
}

/// The gradient of a term's loss with respect to the logits of two layers against finite
/// differences: the choices, and so the counts, stay as they are.
void expect_gradient_of_differences(LossTerm& term) {
  Problem p;  // documents of 3, 3 and 5 tokens
  p.size = {40, 44, 4, 7};
  at::Tensor logits = at::randn({2, 11, 5}, at::kDouble).set_requires_grad(true);
  const at::Tensor chosen = std::get<1>(at::topk(at::softmax(logits.detach(), 2), 2, 2));
  const auto loss = [&] {
    p.routers.clear();
    for (int layer = 0; layer < 2; ++layer) {
      RouterRecord record = record_of(logits[layer], 2);
      record.selected_TK = chosen[layer];
      record.count_E = at::bincount(chosen[layer].flatten(), {}, 5);
      p.routers.push_back(record);
    }
    term.begin_step();
    return term.evaluate(p.view()).loss;
  };
  loss().backward();
  const at::Tensor gradient = logits.grad().clone();
  EXPECT_GT(gradient.abs().max().item<double>(), 0) << term.name();
  double* value = logits.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < logits.numel(); i += 7) {
    const auto at_distance = [&](double by) {
      value[i] += by;
      const double result = loss().item<double>();
      value[i] -= by;
      return result;
    };
    const double numeric = (at_distance(1e-5) - at_distance(-1e-5)) / 2e-5;
    EXPECT_NEAR(gradient.flatten()[i].item<double>(), numeric, 1e-8 + 1e-6 * std::abs(numeric))
        << term.name() << " element " << i;
  }
}

TEST(LossTerms, OfRoutersHaveTheGradientOfFiniteDifferences) {
  SwitchBalance a(0.7);
  GshardBalance b(0.7);
  SequenceBalance c(0.7);
  GlobalBalance d(0.7);
  TransformersBalance e(0.7);
  RouterZ f(0.7);
  RouterEntropy g(0.7);
  for (LossTerm* term : std::vector<LossTerm*>{&a, &b, &c, &d, &e, &f, &g})
    expect_gradient_of_differences(*term);
}

// The head's gradient comes in pieces that are gone after the call; they can be had again.
TEST(CrossEntropy, HandsOverTheUsesOfTheHeadOnceMoreWhenItIsAskedTo) {
  Problem p;
  CrossEntropy().evaluate(p.view()).loss.backward();
  ASSERT_EQ(p.sink.again.size(), 1U);
  at::Tensor again = at::zeros_like(p.weight.tensor);
  int pieces = 0;
  p.sink.again[0]([&](const ParameterUse& use) {
    EXPECT_TRUE(use.passing);
    EXPECT_EQ(&use.parameter, &p.weight);
    add_gradient(use, again, MatmulKernel::kMkl);
    ++pieces;
  });
  EXPECT_EQ(pieces, 1);
  EXPECT_TRUE(again.equal(p.sink.gradients.at(0)));
  EXPECT_GT(again.abs().max().item<double>(), 0);
}

TEST(CrossEntropy, LeavesAFrozenHeadAlone) {
  Problem p;
  p.parameters[0].trainable = false;
  CrossEntropy().evaluate(p.view()).loss.backward();
  EXPECT_TRUE(p.sink.gradients.empty());
  EXPECT_TRUE(p.sink.open_operations.empty());
  EXPECT_GT(p.hidden.grad().abs().max().item<double>(), 0);
}

TEST(LayerBalance, AcceptsMicroBatchesWithoutTokens) {
  Problem p;
  p.batch = empty_batch();
  SwitchBalance a(1);
  GshardBalance b(1);
  SequenceBalance c(1);
  GlobalBalance d(1);
  RouterEntropy e(1);
  for (LossTerm* term : std::vector<LossTerm*>{&a, &b, &c, &d, &e}) {
    p.routers = {record_of(at::randn({0, 5}, at::kDouble).set_requires_grad(true), 2)};
    const auto value = term->evaluate(p.view());
    EXPECT_EQ(value.metric, 0);
    value.loss.backward();
  }
}

TEST(RouterEntropy, IsTheMeanOverTheTokensOfTheStep) {
  Problem p;
  p.size.input_tokens = 18;
  p.routers = {record_of(at::zeros({9, 5}, at::kDouble), 2)};
  EXPECT_NEAR(RouterEntropy(0.5).evaluate(p.view()).metric, std::log(5) / 2, 1e-12);
}

TEST(TransformersBalance, PoolsTheTokensOfAllLayersAndDoesNotDivideByTheChoices) {
  Problem p;
  p.size.micro_batches = 2;
  p.routers = {record_of(at::randn({9, 5}, at::kDouble), 2),
               record_of(at::randn({9, 5}, at::kDouble), 2)};
  double wanted = 0;  // as load_balancing_loss_func of Transformers: means over the 18 rows
  for (int e = 0; e < 5; ++e) {
    double count = 0, probability = 0;
    for (const auto& router : p.routers) {
      count += router.count_E[e].item<double>() / 18;
      probability += router.probabilities_TE.select(1, e).sum().item<double>() / 18;
    }
    wanted += count * probability;
  }
  const auto value = TransformersBalance(0.5).evaluate(p.view());
  EXPECT_NEAR(value.metric, 5 * wanted / 2, 1e-12);
  EXPECT_NEAR(value.loss.item<double>(), 0.5 * value.metric, 1e-12);
}

TEST(RouterZ, IsTheMeanSquareOfLogSumExpOverTheTokensOfTheStep) {
  Problem p;
  const auto logits = at::randn({9, 5}, at::kDouble);
  p.routers = {record_of(logits, 2)};
  const auto wanted = logits.exp().sum(1).log().square().sum().item<double>() / 44;
  EXPECT_NEAR(RouterZ(0.001).evaluate(p.view()).metric, wanted, 1e-12);
}

}  // namespace
}  // namespace moesaic
