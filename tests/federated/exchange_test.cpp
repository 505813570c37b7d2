#include "federated/exchange.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

at::Tensor values(std::initializer_list<double> list) {
  return at::tensor(at::ArrayRef<double>(list), at::kDouble);
}

/// A model on one process, and changes of two silos a and b.
struct TwoSilos {
  RankContext context = RankContext::single();
  RoundModel model;
  std::vector<HeldChange> changes = std::vector<HeldChange>(2);

  void add(std::vector<Parameter> parameters) {
    const ParameterSet set(std::move(parameters));
    model.take(set, [](const Parameter& parameter) {
      return parameter.adapter_scale != 0 ? RoundModel::Kind::kBase : RoundModel::Kind::kShared;
    });
  }
  void change(const at::Tensor& of_a, const at::Tensor& of_b) {
    changes[0].tensors.push_back(of_a);
    changes[1].tensors.push_back(of_b);
  }
  void apply(aggregate::AggregatorOptions options, const aggregate::SiloReport& a,
             const aggregate::SiloReport& b) {
    aggregate::Aggregator aggregator(std::move(options), 2);
    aggregator.begin_round({a, b});
    Exchange(context, changes).apply(aggregator, model);
  }
  at::Tensor value(std::size_t place) const { return model.shared().at(place).tensor; }
};

TEST(Exchange, AddsTheWeightedMeanOfTheChanges) {
  TwoSilos silos;
  silos.add({test::parameter_of("w", values({1, 2, 3}))});
  silos.change(values({4, 0, -4}), values({0, 8, 4}));
  silos.apply({}, {.silo = "a", .examples = 30}, {.silo = "b", .examples = 10});
  EXPECT_TRUE(at::allclose(silos.value(0), values({4, 4, 1}), 0, 1e-12));
}

TEST(Exchange, RefusesAChangeThatIsNotFinite) {
  TwoSilos silos;
  silos.add({test::parameter_of("w", values({1, 2}))});
  silos.change(values({0, 0}), values({0, std::nan("")}));
  EXPECT_THROW(silos.apply({}, {.silo = "a", .examples = 1}, {.silo = "b", .examples = 1}), Error);
  EXPECT_TRUE(at::allclose(silos.value(0), values({1, 2}), 0, 0));
}

// Two experts of two values: the first has seen tokens of both silos, the other one of b alone.
TEST(Exchange, WeighsEachExpertByTheTokensRoutedToIt) {
  TwoSilos silos;
  silos.add(
      {test::expert_of("mlp.experts.up_proj.weight", values({0, 0, 0, 0}).view({2, 2}), 0, 2)});
  silos.change(values({4, 4, 4, 4}).view({2, 2}), values({8, 8, 8, 8}).view({2, 2}));
  silos.apply({.experts = "routed_tokens"},
              {.silo = "a", .examples = 1, .routed_tokens = {{"mlp", {3, 0}}}},
              {.silo = "b", .examples = 1, .routed_tokens = {{"mlp", {1, 5}}}});
  EXPECT_TRUE(at::allclose(silos.value(0), values({5, 5, 8, 8}).view({2, 2}), 0, 1e-12));
}

// The products of the silos have rank 1 each: their mean fits into the adapter, exactly.
TEST(Exchange, SvdFindsTheMeanOfTheProducts) {
  TwoSilos silos;
  const at::Tensor a0 = values({1, 0, 2, 0, 0, 0}).view({2, 3});
  const at::Tensor b0 = values({0, 0, 0, 0}).view({2, 2});
  silos.add({test::parameter_of("q_proj.lora_A.weight", a0.clone()),
             test::parameter_of("q_proj.lora_B.weight", b0.clone())});
  const at::Tensor a1 = values({0, 1, 0, 0, 0, 0}).view({2, 3});
  const at::Tensor b1 = values({2, 0, 1, 0}).view({2, 2}), b2 = values({0, 0, 4, 0}).view({2, 2});
  const at::Tensor zeros = a1.sub(a1);
  silos.change(a1, zeros);
  silos.change(b1, b2);
  silos.apply({.lora = "svd"}, {.silo = "a", .examples = 1}, {.silo = "b", .examples = 3});
  const at::Tensor mean =
      at::matmul(b0.add(b1), a0.add(a1)).mul(0.25).add(at::matmul(b2, a0), 0.75);
  EXPECT_TRUE(at::allclose(at::matmul(silos.value(1), silos.value(0)), mean, 1e-9, 1e-9));
}

// The weight with its adapter is what it was with the mean of the silos' products, to rounding;
// with the mean of the factors it is not.
TEST(Exchange, StackingAndResidualMakeTheMeanOfTheProducts) {
  const at::Tensor w = values({1, 2, 3, 4, 5, 6}).view({2, 3});
  const at::Tensor a0 = values({1, 0, 2}).view({1, 3}), b0 = values({0.5, -1}).view({2, 1});
  const at::Tensor a1 = values({0, 1, 0}).view({1, 3}), a2 = values({-1, 0, 3}).view({1, 3});
  const at::Tensor b1 = values({2, 0}).view({2, 1}), b2 = values({0, 4}).view({2, 1});
  const at::Tensor mean =
      at::matmul(b0.add(b1), a0.add(a1)).mul(0.25).add(at::matmul(b0.add(b2), a0.add(a2)), 0.75);
  const auto with_adapter = [&](const char* lora) {
    TwoSilos silos;
    std::vector<Parameter> parameters = {test::parameter_of("q_proj.weight", w.clone())};
    parameters[0].adapter_scale = std::string(lora) == "average" ? 0 : 3;
    const bool moves = parameters[0].adapter_scale != 0;
    if (!moves) parameters.clear();
    parameters.push_back(test::parameter_of("q_proj.lora_A.weight", a0.clone()));
    parameters.push_back(test::parameter_of("q_proj.lora_B.weight", b0.clone()));
    silos.add(std::move(parameters));
    silos.change(a1, a2);
    silos.change(b1, b2);
    silos.apply({.lora = lora}, {.silo = "a", .examples = 1}, {.silo = "b", .examples = 3});
    if (std::string(lora) == "stacking") {
      EXPECT_EQ(silos.value(1).abs().max().item<double>(), 0);  // it begins anew
      EXPECT_TRUE(at::allclose(silos.value(0), a0, 0, 0));
    }
    const at::Tensor product = at::matmul(silos.value(1), silos.value(0));
    return (moves ? silos.model.base().at(0).tensor : w).add(product, 3);
  };
  for (const char* lora : {"stacking", "residual"})
    EXPECT_TRUE(at::allclose(with_adapter(lora), w.add(mean, 3), 0, 1e-12)) << lora;
  EXPECT_FALSE(at::allclose(with_adapter("average"), w.add(mean, 3), 0, 0.1));
}

}  // namespace
}  // namespace moesaic
