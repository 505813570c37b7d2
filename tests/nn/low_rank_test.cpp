// A pair of factors beside a map: values, gradients by LibTorch's own autograd, and where they lie.
#include "nn/low_rank.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>

#include "support/capture_sink.h"

namespace moesaic {
namespace {

constexpr std::int64_t kRowsOfPair = 11, kPairIn = 6, kPairOut = 4, kPairRank = 2;
constexpr double kScaleOfPair = 1.5;

at::Tensor numbers(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }

// Of one matrix, or of three experts of which one has no row.
struct PairBesideAMap : test::Fixture {
  explicit PairBesideAMap(bool grouped) {
    if (grouped) groups = RowGroups{GroupOffsets({0, 5, 5, kRowsOfPair}), batch.example_id_T};
    const auto add = [&](std::int64_t rows, std::int64_t columns) {
      parameter(grouped ? numbers({3, rows, columns}) : numbers({rows, columns}));
    };
    add(kPairOut, kPairIn), add(kPairRank, kPairIn), add(kPairOut, kPairRank);
    parameters[0].trainable = false;  // as adapters are trained
  }

  at::Tensor map(const at::Tensor& x) const {
    return groups ? grouped_linear(context, parameters[0], x, *groups)
                  : linear(context, parameters[0], nullptr, x);
  }
  at::Tensor forward(const at::Tensor& x) const {
    const LowRankInput low = times_a(context, parameters[1], kScaleOfPair, x, groups);
    return add_times_b(context, parameters[2], low.h, map(low.x), groups);
  }
  // The changed weight, in the graph of a and b.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& a, const at::Tensor& b) const {
    const at::Tensor w = parameters[0].tensor.add(b.matmul(a), kScaleOfPair);
    if (!groups) return x.matmul(w.t());
    return at::cat({x.narrow(0, 0, 5).matmul(w[0].t()), x.narrow(0, 5, 6).matmul(w[2].t())});
  }

  std::optional<RowGroups> groups;
};

bool alike(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-12, 1e-12); }

TEST(LowRank, IsTheChangedWeightWithTheGradientsOfBothFactors) {
  for (const bool grouped : {false, true}) {
    PairBesideAMap f(grouped);
    const auto x = numbers({kRowsOfPair, kPairIn}).set_requires_grad(true);
    const auto dy = numbers({kRowsOfPair, kPairOut}), kept = dy.clone();
    const auto x2 = x.detach().clone().set_requires_grad(true);
    const auto a = f.parameters[1].tensor.clone().set_requires_grad(true),
               b = f.parameters[2].tensor.clone().set_requires_grad(true);
    const auto values = x.detach().clone();
    const auto y = f.forward(x), y2 = f.forward(x2, a, b);
    y.backward(dy), y2.backward(dy);
    EXPECT_TRUE(alike(y, y2));
    EXPECT_TRUE(alike(x.grad(), x2.grad()));
    EXPECT_TRUE(alike(f.sink.gradients.at(1), a.grad()));
    EXPECT_TRUE(alike(f.sink.gradients.at(2), b.grad()));
    EXPECT_FALSE(f.sink.gradients.contains(0)) << "the weight is frozen";
    EXPECT_TRUE(at::equal(x.detach(), values)) << "the input is read alone";
    EXPECT_TRUE(at::equal(dy, kept)) << "the output's gradient, too";
    for (const int parameter : {1, 2}) EXPECT_EQ(f.sink.open_operations.at(parameter), 0);
  }
}

// Two maps of one input, as gate and up are: each adds to its own gradient of it.
TEST(LowRank, OfTwoMapsOfOneInputGivesTheSumOfBothGradients) {
  PairBesideAMap f(true);
  const auto x = numbers({kRowsOfPair, kPairIn}).set_requires_grad(true);
  const auto x2 = x.detach().clone().set_requires_grad(true);
  const auto dy = numbers({kRowsOfPair, kPairOut});
  const at::Tensor &a = f.parameters[1].tensor, &b = f.parameters[2].tensor;
  f.forward(x).mul(f.forward(x)).backward(dy);
  f.forward(x2, a, b).mul(f.forward(x2, a, b)).backward(dy);
  EXPECT_TRUE(alike(x.grad(), x2.grad()));
}

TEST(LowRank, IsWrittenWhereTheMapsOutputAndGradientLie) {
  for (const bool grouped : {false, true}) {
    PairBesideAMap f(grouped);
    const auto x = numbers({kRowsOfPair, kPairIn}).set_requires_grad(true);
    const LowRankInput low = times_a(f.context, f.parameters[1], kScaleOfPair, x, f.groups);
    EXPECT_TRUE(low.x.is_alias_of(x));
    const at::Tensor y = f.map(low.x);
    EXPECT_TRUE(add_times_b(f.context, f.parameters[2], low.h, y, f.groups).is_alias_of(y));
    const auto dx = numbers({kRowsOfPair, kPairIn}), before = dx.clone();
    const auto dh = numbers({kRowsOfPair, kPairRank});
    const auto inputs = (*low.h.grad_fn())({dx, dh});
    ASSERT_EQ(inputs.size(), 1U);
    EXPECT_TRUE(inputs[0].is_alias_of(dx));
    EXPECT_FALSE(at::equal(dx, before));
  }
}

// Backward ends above what is frozen: no product makes the gradient of rows that ask for none.
TEST(LowRank, MakesNoGradientThatNobodyAskedFor) {
  for (const bool grouped : {false, true}) {
    PairBesideAMap f(grouped);
    const auto x = numbers({kRowsOfPair, kPairIn});
    const LowRankInput low = times_a(f.context, f.parameters[1], kScaleOfPair, x, f.groups);
    EXPECT_FALSE(low.x.requires_grad()) << "the map would make a gradient";
    EXPECT_TRUE(low.h.requires_grad()) << "A is trained";
    const auto inputs = (*low.h.grad_fn())({numbers({kRowsOfPair, kPairRank})});
    ASSERT_EQ(inputs.size(), 1U);
    EXPECT_FALSE(inputs[0].defined());
    f.parameters[1].trainable = false;
    const auto h = times_a(f.context, f.parameters[1], kScaleOfPair, x, f.groups).h;
    EXPECT_FALSE(h.requires_grad());
    const auto y = add_times_b(f.context, f.parameters[2], h, f.map(x), f.groups);
    EXPECT_TRUE(y.requires_grad()) << "B is trained";
    const auto gradients = (*y.grad_fn())({numbers({kRowsOfPair, kPairOut})});
    ASSERT_EQ(gradients.size(), 2U);
    EXPECT_FALSE(gradients[1].defined()) << "A is frozen, and so is what is before it";
  }
}

TEST(LowRank, KeepsItsInputOnlyWhereAIsTrained) {
  for (const bool trained : {true, false}) {
    PairBesideAMap f(false);
    f.parameters[1].trainable = trained;
    const auto rows = numbers({kRowsOfPair, kPairIn});
    const auto x = rows.detach().set_requires_grad(true);
    const auto holders = rows.storage().use_count();
    const at::Tensor h = times_a(f.context, f.parameters[1], kScaleOfPair, x, f.groups).h;
    EXPECT_EQ(rows.storage().use_count() > holders, trained);
  }
}

TEST(LowRank, WithoutAGraphGivesTheSameValues) {
  PairBesideAMap f(true);
  const auto x = numbers({kRowsOfPair, kPairIn});
  const at::Tensor wanted = f.forward(x);
  const at::NoGradGuard no_gradients;
  const at::Tensor y = f.forward(x);
  EXPECT_TRUE(at::equal(y, wanted));
  EXPECT_FALSE(y.requires_grad());
}

}  // namespace
}  // namespace moesaic
