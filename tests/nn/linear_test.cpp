// Linear maps with an adapter beside them: that of low-rank adaptation, written out.
#include "nn/linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>

#include "support/capture_sink.h"

namespace moesaic {
namespace {

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }

/// y + 2 B A x.
class LowRank : public LinearAdapter {
 public:
  LowRank(const Parameter& a, const Parameter& b) : a_(a), b_(b) {}
  at::Tensor apply(const ForwardContext& context, const at::Tensor& x_TK,
                   const MapOfRows& map) const override {
    return map(x_TK).add(b_.forward(context, a_.forward(context, x_TK)).mul(2));
  }

 private:
  Linear a_, b_;
};

class GroupedLowRank : public GroupedLinearAdapter {
 public:
  GroupedLowRank(const Parameter& a, const Parameter& b) : a_(a), b_(b) {}
  at::Tensor apply(const ForwardContext& context, const at::Tensor& x_RK, const RowGroups& groups,
                   const MapOfRows& map) const override {
    return map(x_RK).add(b_.forward(context, a_.forward(context, x_RK, groups), groups).mul(2));
  }

 private:
  GroupedLinear a_, b_;
};

struct Adapted : test::Fixture {
  const Parameter& w = parameter(random({4, 6}));
  const Parameter& a = parameter(random({2, 6}));
  const Parameter& b = parameter(random({4, 2}));
  Linear map{w, nullptr, std::make_shared<LowRank>(a, b)};
};

TEST(Linear, WithAnAdapterIsTheSumOfBothWithTheGradientsOfBoth) {
  Adapted f;
  f.parameters[0].trainable = false;  // as adapters are trained
  const auto x = random({11, 6}).set_requires_grad(true), dy = random({11, 4});
  const auto x2 = x.detach().clone().set_requires_grad(true);
  const auto a2 = f.a.tensor.clone().set_requires_grad(true),
             b2 = f.b.tensor.clone().set_requires_grad(true);
  const auto y = f.map.forward(f.context, x);
  const auto y2 = x2.matmul(f.w.tensor.t()).add(x2.matmul(a2.t()).matmul(b2.t()).mul(2));
  y.backward(dy), y2.backward(dy);
  EXPECT_TRUE(at::allclose(y, y2, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(x.grad(), x2.grad(), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(f.sink.gradients.at(1), a2.grad(), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(f.sink.gradients.at(2), b2.grad(), 1e-12, 1e-12));
  EXPECT_FALSE(f.sink.gradients.contains(0));
}

TEST(Linear, BackwardEndsAboveWhatIsFrozen) {
  Adapted f;
  f.parameters[0].trainable = false;
  const auto x = random({11, 6});
  EXPECT_FALSE(Linear(f.w).forward(f.context, x).requires_grad());
  EXPECT_TRUE(f.map.forward(f.context, x).requires_grad()) << "the adapter wants a gradient";
  EXPECT_TRUE(Linear(f.w)
                  .forward(f.context, f.map.forward(f.context, x).matmul(random({4, 6})))
                  .requires_grad());
}

TEST(Linear, AMatrixThatItIsAbsorbedAsHasTheAdapterInIt) {
  Adapted f;
  const auto whole = f.w.tensor.add(f.b.tensor.matmul(f.a.tensor).mul(2));
  EXPECT_TRUE(at::allclose(f.map.matrix(f.context, at::kDouble), whole, 1e-12, 1e-12));
  EXPECT_TRUE(f.sink.open_operations.empty());  // nobody learns from it
  EXPECT_TRUE(Linear(f.w).matrix(f.context, at::kDouble).is_same(f.w.tensor));
}

TEST(GroupedLinear, WithAnAdapterAppliesEachExpertsOwn) {
  test::Fixture f;
  const Parameter& w = f.parameter(random({3, 4, 6}));
  const Parameter& a = f.parameter(random({3, 2, 6}));
  const Parameter& b = f.parameter(random({3, 4, 2}));
  const GroupedLinear map(w, std::make_shared<GroupedLowRank>(a, b));
  const auto whole = w.tensor.add(b.tensor.bmm(a.tensor).mul(2));
  const RowGroups groups{GroupOffsets({0, 5, 5, 11}), f.batch.example_id_T};
  const auto x = random({11, 6});
  const auto wanted =
      at::cat({x.narrow(0, 0, 5).matmul(whole[0].t()), x.narrow(0, 5, 6).matmul(whole[2].t())});
  EXPECT_TRUE(at::allclose(map.forward(f.context, x, groups), wanted, 1e-12, 1e-12));
  const auto one_each = random({3, 6});
  EXPECT_TRUE(at::allclose(map.forward_one_each(f.context, one_each),
                           whole.bmm(one_each.unsqueeze(2)).squeeze(2), 1e-12, 1e-12));
}

// Nobody asks for the gradient of the input: no product makes it, and the weight gets its own.
TEST(Linear, MakesNoGradientOfAnInputThatWantsNone) {
  test::Fixture f;
  const Parameter& w = f.parameter(random({4, 6}));
  const Parameter& g = f.parameter(random({2, 4, 6}));
  const auto x = random({11, 6}), dy = random({11, 4});
  const auto y = Linear(w).forward(f.context, x);
  const auto z =
      GroupedLinear(g).forward(f.context, x, {GroupOffsets({0, 5, 11}), f.batch.example_id_T});
  for (const at::Tensor& out : {y, z}) {
    const auto inputs = (*out.grad_fn())({dy});
    ASSERT_EQ(inputs.size(), 1U);
    EXPECT_FALSE(inputs[0].defined());
  }
  EXPECT_TRUE(at::allclose(f.sink.gradients.at(0), dy.t().mm(x)));
}

// What a frozen weight's gradient alone would need goes with the forward pass.
TEST(Linear, KeepsItsInputOnlyWhereTheWeightIsTrained) {
  for (const bool trained : {true, false}) {
    test::Fixture f;
    const Parameter& w = f.parameter(random({4, 6}));
    const Parameter& g = f.parameter(random({2, 4, 6}));
    for (Parameter& parameter : f.parameters) parameter.trainable = trained;
    auto x = random({11, 6}), rows = random({11, 6});
    const auto y = Linear(w).forward(f.context, x);
    const auto z =
        GroupedLinear(g).forward(f.context, rows, {GroupOffsets({0, 5, 11}), f.batch.example_id_T});
    EXPECT_EQ(x.storage().use_count() > 1, trained);
    EXPECT_EQ(rows.storage().use_count() > 1, trained);
  }
}

TEST(WeightCopies, KeepThoseOfTrainedWeightsAlone) {
  test::Fixture f;
  const Parameter& trained = f.parameter(random({4, 6}));
  f.parameter(random({4, 6}));
  f.parameters[1].trainable = false;
  WeightCopies copies;
  EXPECT_TRUE(copies.get(trained, at::kBFloat16).is_same(copies.get(trained, at::kBFloat16)));
  const at::Tensor once = copies.get(f.parameters[1], at::kBFloat16);
  EXPECT_FALSE(once.is_same(copies.get(f.parameters[1], at::kBFloat16)));
  EXPECT_TRUE(copies.converts(f.parameters[1], at::kBFloat16));
  EXPECT_FALSE(copies.converts(trained, at::kBFloat16));
}

}  // namespace
}  // namespace moesaic
