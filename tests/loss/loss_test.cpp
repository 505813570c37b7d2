#include <ATen/ops/allclose.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <gtest/gtest.h>

#include "loss/balance.h"
#include "loss/cross_entropy.h"
#include "support/capture_sink.h"

namespace moesaic {
namespace {

using test::Fixture;

struct Problem : Fixture {
  Parameter head = parameter(at::randn({11, 6}, at::kDouble));
  at::Tensor hidden = at::randn({11, 6}, at::kDouble).set_requires_grad(true);
  std::vector<RouterRecord> routers;
  StepSize size{40, 44, 4};
  StepView view() { return {context, hidden, head, routers, size}; }
};

TEST(CrossEntropy, IsTheSumOverTargetsDividedByTheTargetsOfTheStep) {
  Problem p;
  p.batch.targets_T[4] = kNoTarget;
  const auto value = CrossEntropy().evaluate(p.view());
  value.loss.backward();
  const auto x = p.hidden.detach().clone().set_requires_grad(true);
  const auto w = p.head.tensor.clone().set_requires_grad(true);
  const auto wanted = at::nll_loss(at::log_softmax(at::mm(x, w.t()), 1), p.batch.targets_T, {},
                                   at::Reduction::Sum, kNoTarget)
                          .div(40);
  wanted.backward();
  EXPECT_NEAR(value.metric, wanted.item<double>(), 1e-12);
  EXPECT_NEAR(value.loss.item<double>(), value.metric, 1e-12);
  EXPECT_TRUE(at::allclose(p.hidden.grad(), x.grad(), 1e-10, 1e-14));
  EXPECT_TRUE(at::allclose(p.sink.gradients.at(0), w.grad(), 1e-10, 1e-14));
  EXPECT_EQ(p.sink.open.at(0), 0);
}

TEST(CrossEntropy, CompletesItsParameterWithoutTokens) {
  Problem p;
  p.batch = empty_batch();
  p.hidden = at::randn({0, 6}, at::kDouble).set_requires_grad(true);
  const auto value = CrossEntropy().evaluate(p.view());
  value.loss.backward();
  EXPECT_EQ(value.metric, 0);
  EXPECT_EQ(p.sink.open.at(0), 0);
  EXPECT_EQ(p.sink.gradients.at(0).abs().sum().item<double>(), 0);
}

// More rows than a block of the vocabulary has, targets in each of its blocks, none, and the last.
TEST(TokenLosses, OfAHeadThatIsConvertedInPartsAreThoseOfAHeadThatFits) {
  Problem p;
  const auto stored = at::randn({9000, 6}, at::kDouble).to(at::kBFloat16);
  p.batch.targets_T =
      at::tensor({0, 1, 4095, 4096, 8191, 8192, 8999, 17, 5000, 4097, 3}, at::kLong);
  p.batch.targets_T[9] = kNoTarget;
  WeightCopies none(/*keep=*/false);
  const ForwardContext context{p.batch, Precision::named("float64"), MatmulKernel::kMkl, none,
                               nullptr, Communicator::single()};
  const auto hidden = p.hidden.detach();
  const auto losses =
      token_losses(context, p.parameter(stored, "stored"), hidden, p.batch.targets_T);
  const auto wanted = at::nll_loss(at::log_softmax(at::mm(hidden, stored.to(at::kDouble).t()), 1),
                                   p.batch.targets_T, {}, at::Reduction::None, kNoTarget);
  EXPECT_EQ(losses.scalar_type(), at::kDouble);
  EXPECT_TRUE(at::allclose(losses, wanted, 1e-12, 1e-12)) << losses << wanted;
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
