// Low-rank adapters against the explicit weight W + scale B A, with the gradients of LibTorch's own
// autograd.
#include "adapt/lora.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>

#include "adapt/dropout.h"
#include "support/tiny_lora.h"

namespace moesaic {
namespace {

constexpr const char* kQuery = "model.layers.0.self_attn.q_proj";
constexpr const char* kGate = "model.layers.1.mlp.experts.gate_proj";

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }

bool close(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-11, 1e-12); }

using test::Adapted;
using test::rank;

TEST(Lora, BesideALinearMapIsTheChangedWeight) {
  for (const bool rslora : {false, true}) {
    LoraOptions lora = rank(4, 6);
    lora.use_rslora = rslora;
    Adapted f(lora);
    const Parameter& weight = f.find(format("{}.weight", kQuery));
    const Linear map(weight, nullptr, f.factory->beside(weight));
    const auto x = random({11, 16}).set_requires_grad(true), dy = random({11, 16});
    const auto x2 = x.detach().clone().set_requires_grad(true);
    const auto a = f.find(format("{}.lora_A.weight", kQuery)).tensor.clone();
    const auto b = f.find(format("{}.lora_B.weight", kQuery)).tensor.clone();
    a.set_requires_grad(true), b.set_requires_grad(true);
    const double scale = rslora ? 6 / std::sqrt(4.0) : 6 / 4.0;
    const auto y = map.forward(f.fixture.context, x);
    const auto y2 = x2.matmul(weight.tensor.add(b.matmul(a), scale).t());
    y.backward(dy), y2.backward(dy);
    EXPECT_TRUE(close(y, y2));
    EXPECT_TRUE(close(x.grad(), x2.grad()));
    EXPECT_TRUE(close(f.gradient(format("{}.lora_A.weight", kQuery)), a.grad()));
    EXPECT_TRUE(close(f.gradient(format("{}.lora_B.weight", kQuery)), b.grad()));
    EXPECT_FALSE(f.fixture.sink.gradients.contains(weight.index)) << "the weight is frozen";
  }
}

TEST(Lora, BesideRoutedExpertsEachHasItsPair) {
  Adapted f(rank(2, 8));
  const Parameter& weight = f.find(format("{}.weight", kGate));
  const GroupedLinear map(weight, f.factory->beside_experts(weight));
  std::vector<std::int64_t> offsets = {0, 5, 5};  // the second expert has no row
  while (std::ssize(offsets) <= weight.shape[0]) offsets.push_back(11);
  const RowGroups groups = groups_of(offsets, f.fixture.batch.place_T);
  const auto x = random({11, 16}).set_requires_grad(true), dy = random({11, 12});
  const auto x2 = x.detach().clone().set_requires_grad(true);
  const auto a = f.find(format("{}.lora_A.weight", kGate)).tensor.clone();
  const auto b = f.find(format("{}.lora_B.weight", kGate)).tensor.clone();
  a.set_requires_grad(true), b.set_requires_grad(true);
  const auto w = weight.tensor.add(b.bmm(a), 8.0 / 2);
  const auto y = map.forward(f.fixture.context, x, groups);
  const auto y2 =
      at::cat({x2.narrow(0, 0, 5).matmul(w[0].t()), x2.narrow(0, 5, 6).matmul(w[2].t())});
  y.backward(dy), y2.backward(dy);
  EXPECT_TRUE(close(y, y2));
  EXPECT_TRUE(close(x.grad(), x2.grad()));
  EXPECT_TRUE(close(f.gradient(format("{}.lora_A.weight", kGate)), a.grad()));
  EXPECT_TRUE(close(f.gradient(format("{}.lora_B.weight", kGate)), b.grad()));
}

TEST(Lora, BeginsAsTheModelWas) {
  const arch::Options arch = test::tiny_olmoe();
  const Recipe recipe = test::lora_recipe(rank(3, 6));
  const ParameterSet parameters =
      test::parameters_of(training_table(recipe, arch), RankContext::single());
  for (const Parameter& p : parameters) {
    if (!p.adapter) continue;
    const double largest = p.tensor.abs().max().item<double>();
    const double bound = 1 / std::sqrt(static_cast<double>(p.shape.back()));
    if (p.name.ends_with("lora_B.weight")) {
      EXPECT_EQ(largest, 0) << p.name;
    } else {
      EXPECT_LE(largest, bound) << p.name;  // PEFT's: Kaiming uniform, a = sqrt(5)
      EXPECT_GT(largest, 0.8 * bound) << p.name;
    }
  }
}

TEST(Lora, IsLeftOutWhereAWeightIsTrainedInFull) {
  LoraOptions lora = rank(2, 4);
  lora.modules_to_save = {"q_proj"};
  Adapted f(lora);
  EXPECT_EQ(f.factory->beside(f.find(format("{}.weight", kQuery))), nullptr);
  EXPECT_TRUE(f.find(format("{}.weight", kQuery)).trainable);
  EXPECT_EQ(make_lora(Recipe{}, f.arch, f.parameters), nullptr);
}

TEST(Dropout, LeavesOutAShareAndIsAFunctionOfTheTokensPlace) {
  test::Fixture f;
  const Dropout dropout(0.25, 3, "module");
  const auto x = random({11, 400}).set_requires_grad(true);
  const at::Tensor place_T = f.batch.place_T;
  const auto y = dropout.apply(f.context, x, place_T);
  const double left_out = y.eq(0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(left_out, 0.25, 0.03);
  EXPECT_TRUE(close(y, x.div(0.75).masked_fill(y.eq(0), 0)));
  y.backward(at::ones_like(y));
  EXPECT_TRUE(close(x.grad(), y.ne(0).to(at::kDouble).div(0.75))) << "backward draws the same";
  // Other rows in another order.
  const auto turned = dropout.apply(f.context, x.detach().flip(0), place_T.flip(0));
  EXPECT_TRUE(at::equal(turned.flip(0), y.detach()));
  f.context.step = 1;
  EXPECT_FALSE(at::equal(dropout.apply(f.context, x, place_T).detach(), y.detach()));
  f.context.training = false;
  EXPECT_TRUE(dropout.apply(f.context, x, place_T).is_same(x));
}

}  // namespace
}  // namespace moesaic
