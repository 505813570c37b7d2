// An operation that is recomputed against the same one that keeps everything: equal to the bit.
#include "nn/recompute.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <memory>

#include "nn/ops.h"
#include "nn/swiglu.h"
#include "support/capture_sink.h"

namespace moesaic {
namespace {

using test::Fixture;

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }
at::Tensor leaf(const at::Tensor& value) { return value.clone().set_requires_grad(true); }

// Two parameters, one of them used twice; two inputs, two outputs.
struct Network {
  Fixture f;
  Parameter w = f.parameter(random({6, 6})), v = f.parameter(random({6, 6}));
  int runs = 0;

  Tensors operator()(const ForwardContext& context, const Tensors& inputs) {
    ++runs;
    const at::Tensor a = linear(context, w, nullptr, inputs[0]);
    const at::Tensor b = linear(context, v, nullptr, inputs[1]);
    return {inputs[0].add(linear(context, w, nullptr, swiglu(a, b))), b.softmax(1)};
  }
  Tensors recomputed(const Tensors& inputs) {
    Tensors outputs;
    {
      const at::NoGradGuard no_gradients;
      outputs = (*this)(f.context, inputs);
    }
    const auto second = std::make_shared<SecondRun>(f.context);
    record_recomputed("network", inputs, outputs, [this, second](const Tensors& again) {
      return (*this)(second->context(), again);
    });
    return outputs;
  }
};

TEST(Recompute, GivesTheBitsOfAGraphThatKeepsEverything) {
  Network kept, again;
  again.w.tensor.copy_(kept.w.tensor), again.v.tensor.copy_(kept.v.tensor);
  const auto x = leaf(random({11, 6})), z = leaf(random({11, 6}));
  const auto x2 = leaf(x.detach()), z2 = leaf(z.detach());
  const auto weight = random({11, 6});
  const Tensors y = kept(kept.f.context, {x, z}), y2 = again.recomputed({x2, z2});
  EXPECT_TRUE(at::equal(y[0], y2[0]) && at::equal(y[1], y2[1]));
  y[0].sum().add(y[1].mul(weight).sum()).backward();
  y2[0].sum().add(y2[1].mul(weight).sum()).backward();
  EXPECT_EQ(again.runs, 2);
  EXPECT_TRUE(at::equal(x.grad(), x2.grad()));
  EXPECT_TRUE(at::equal(z.grad(), z2.grad()));
  for (const std::int64_t i : {0, 1}) {
    EXPECT_TRUE(at::equal(kept.f.sink.gradients.at(i), again.f.sink.gradients.at(i)));
    EXPECT_EQ(again.f.sink.open_operations.at(i), 0) << "uses are counted once";
  }
}

TEST(Recompute, LeavesOutAnOutputThatNothingUses) {
  Network network;
  const auto x = leaf(random({3, 6})), z = leaf(random({3, 6}));
  network.recomputed({x, z})[0].sum().backward();
  EXPECT_TRUE(x.grad().defined() && z.grad().defined());
  const auto x2 = leaf(x.detach()), z2 = leaf(z.detach());
  network.recomputed({x2, z2})[1].select(1, 0).sum().backward();
  EXPECT_TRUE(z2.grad().defined());
  EXPECT_EQ(x2.grad().defined() && x2.grad().abs().max().item<double>() > 0, false);
}

// Backward ends above an operation whose parameters are frozen and whose inputs want nothing.
TEST(Recompute, IsLeftOutWhereNothingIsTrained) {
  for (const bool trained : {false, true}) {
    Network network;
    network.w.trainable = trained;
    const auto x = random({3, 6});
    const FirstRun first(network.f.context);
    at::Tensor y;
    {
      const at::NoGradGuard no_gradients;
      y = linear(first.context(), network.w, nullptr, x);
    }
    record_recomputed(
        "linear", {x}, {y}, [](const Tensors& inputs) { return inputs; }, first.reach());
    EXPECT_EQ(y.requires_grad(), trained);
    EXPECT_EQ(network.f.sink.open_operations.contains(0), trained);
  }
}

TEST(Recompute, AcceptsNoRows) {
  Network network;
  const auto x = leaf(random({0, 6})), z = leaf(random({0, 6}));
  network.recomputed({x, z})[0].sum().backward();
  EXPECT_EQ(x.grad().sizes(), x.sizes());
  EXPECT_EQ(network.f.sink.open_operations.at(0), 0);
}

TEST(Recompute, RunsOnceWhereGradientsAreOff) {
  Network network;
  const at::NoGradGuard no_gradients;
  const Tensors y = network.recomputed({random({3, 6}), random({3, 6})});
  EXPECT_FALSE(y[0].requires_grad());
  EXPECT_EQ(network.runs, 1);
}

}  // namespace
}  // namespace moesaic
