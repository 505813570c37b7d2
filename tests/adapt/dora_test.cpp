// Weight-decomposed adapters against the explicit weight, with the gradients of LibTorch's own
// autograd.
#include "adapt/dora.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "adapt/begin.h"
#include "adapt/dropout.h"
#include "support/tiny_lora.h"

namespace moesaic {
namespace {

constexpr const char* kDoraQuery = "model.layers.0.self_attn.q_proj";
constexpr const char* kDoraGate = "model.layers.1.mlp.experts.gate_proj";
constexpr double kDoraScale = 4;

LoraOptions dora(double dropout = 0) {
  LoraOptions lora = test::rank(2, 2 * kDoraScale);
  lora.use_dora = true;
  lora.lora_dropout = dropout;
  return lora;
}

at::Tensor doubles(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }
bool agree(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-11, 1e-12); }

// The parts of a module by hand: leaves of a graph of their own.
struct Explicit {
  const Parameter& magnitude;
  at::Tensor w, a, b, m;

  Explicit(const test::Adapted& f, const std::string& module)
      : magnitude(f.find(format("{}.lora_magnitude_vector.weight", module))),
        w(f.find(format("{}.weight", module)).tensor),
        a(f.find(format("{}.lora_A.weight", module)).tensor.clone().set_requires_grad(true)),
        b(f.find(format("{}.lora_B.weight", module)).tensor.clone().set_requires_grad(true)) {
    at::Tensor(magnitude.tensor).mul_(1.25);
    m = magnitude.tensor.clone().set_requires_grad(true);
  }
  at::Tensor sum() const { return w.add(b.matmul(a), kDoraScale); }
  // m over the lengths, which count as constants.
  at::Tensor factor() const { return m.div(sum().detach().square().sum(-1).sqrt()); }
};

TEST(Dora, BeginsWithTheLengthsOfTheRows) {
  test::Adapted f(dora());
  begin_adapters(test::lora_recipe(dora()), f.arch, f.parameters, RankContext::single());
  for (const char* module : {kDoraQuery, kDoraGate}) {
    const Explicit parts(f, module);
    EXPECT_TRUE(agree(parts.factor(), at::full_like(parts.m, 1.25))) << module;
  }
}

TEST(Dora, BesideRoutedExpertsTurnsTheirRowsAndTrainsTheLengths) {
  test::Adapted f(dora());
  const Parameter& weight = f.find(format("{}.weight", kDoraGate));
  const Explicit parts(f, kDoraGate);
  const GroupedLinear map(weight, f.factory->beside_experts(weight));
  std::vector<std::int64_t> offsets = {0, 5, 5};  // the second expert has no row
  while (std::ssize(offsets) <= weight.shape[0]) offsets.push_back(11);
  const auto x = doubles({11, 16}).set_requires_grad(true), dy = doubles({11, 12});
  const auto y = map.forward(f.fixture.context, x, groups_of(offsets, f.fixture.batch.place_T));
  const auto w = parts.sum().mul(parts.factor().unsqueeze(-1));
  const auto x2 = x.detach().clone().set_requires_grad(true);
  const auto y2 =
      at::cat({x2.narrow(0, 0, 5).matmul(w[0].t()), x2.narrow(0, 5, 6).matmul(w[2].t())});
  y.backward(dy), y2.backward(dy);
  EXPECT_TRUE(agree(y, y2));
  EXPECT_TRUE(agree(x.grad(), x2.grad()));
  EXPECT_TRUE(agree(f.gradient(parts.magnitude.name), parts.m.grad()));
  EXPECT_TRUE(agree(f.gradient(format("{}.lora_A.weight", kDoraGate)), parts.a.grad()));
  EXPECT_TRUE(agree(f.gradient(format("{}.lora_B.weight", kDoraGate)), parts.b.grad()));
}

// The formula of PEFT's forward pass: dropout is of what the magnitudes change, not of W x + bias.
TEST(Dora, WithDropoutAndBiasIsWhatPeftComputes) {
  test::Adapted f(dora(0.25));
  const Parameter& weight = f.find(format("{}.weight", kDoraQuery));
  const Explicit parts(f, kDoraQuery);
  std::vector<Parameter> with_bias(f.parameters.begin(), f.parameters.end());
  Parameter added{weight};
  added.name = format("{}.bias", kDoraQuery);
  added.shape = {16};
  added.trainable = true;
  added.tensor = doubles({16});
  with_bias.push_back(added);
  const ParameterSet parameters(std::move(with_bias));
  const auto factory = f.made.make(parameters);
  const Parameter& own_weight = *parameters.find(weight.name);
  const Parameter& bias = *parameters.find(added.name);
  const Linear map(own_weight, &bias, factory->beside(own_weight));

  const auto x = doubles({11, 16}).set_requires_grad(true), dy = doubles({11, 16});
  const auto x2 = x.detach().clone().set_requires_grad(true);
  const auto bias2 = bias.tensor.clone().set_requires_grad(true);
  const Dropout dropout(0.25, test::lora_recipe(dora()).seed, weight.name);
  const auto left = dropout.apply(f.fixture.context, x2, f.fixture.batch.place_T);
  const auto y = map.forward(f.fixture.context, x);
  const auto y2 =
      x2.matmul(parts.w.t())
          .add(bias2)
          .add(left.matmul(parts.w.t()).mul(parts.factor().sub(1)))
          .add(left.matmul(parts.a.t()).matmul(parts.b.t()).mul(parts.factor()), kDoraScale);
  y.backward(dy), y2.backward(dy);
  EXPECT_TRUE(agree(y, y2));
  EXPECT_TRUE(agree(x.grad(), x2.grad()));
  const auto& gradients = f.fixture.sink.gradients;
  EXPECT_TRUE(agree(gradients.at(bias.index), bias2.grad()));
  EXPECT_TRUE(agree(f.gradient(parts.magnitude.name), parts.m.grad()));
  EXPECT_TRUE(agree(f.gradient(format("{}.lora_A.weight", kDoraQuery)), parts.a.grad()));
  EXPECT_TRUE(agree(f.gradient(format("{}.lora_B.weight", kDoraQuery)), parts.b.grad()));
}

TEST(Dora, LeavesARowOfZerosAsItIs) {
  test::Adapted f(dora());
  const Parameter& weight = f.find(format("{}.weight", kDoraQuery));
  at::Tensor(weight.tensor).select(0, 3).zero_();
  at::Tensor(f.find(format("{}.lora_B.weight", kDoraQuery)).tensor).zero_();
  begin_adapters(test::lora_recipe(dora()), f.arch, f.parameters, RankContext::single());
  const Linear map(weight, nullptr, f.factory->beside(weight));
  const auto x = doubles({11, 16});
  EXPECT_TRUE(agree(map.forward(f.fixture.context, x), x.matmul(weight.tensor.t())));
}

}  // namespace
}  // namespace moesaic
