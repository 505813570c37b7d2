// What training does on a device against the CPU: cross entropy, optimizers, clipping, and the
// gradients of a whole model.
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include "gpu/device_test.h"
#include "loss/cross_entropy.h"
#include "optim/clip.h"
#include "optim/optimizer.h"
#include "support/tiny_model.h"

namespace moesaic::test {
namespace {

constexpr std::int64_t kVocabulary = 11, kWidth = 16;

class OnDevice : public DeviceTest {
 protected:
  Batch batch = batch_of({3, 1, 7}, kVocabulary);

  RankContext context(at::Device where) const {
    RankContext ranks = RankContext::single();
    ranks.device = where;
    return ranks;
  }
};

using CrossEntropyOnDevice = OnDevice;
using OptimizersOnDevice = OnDevice;
using ModelOnDevice = OnDevice;

TEST_F(CrossEntropyOnDevice, LossAndGradients) {
  const auto x = at::randn({batch.tokens(), kWidth}), w = at::randn({kVocabulary, kWidth});
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    std::vector<Tensors> results;
    for (const at::Device where : {at::Device(at::kCPU), device()}) {
      Bench b(where, at::kFloat, compute, batch);
      const at::Tensor in = b.input(x.to(compute));
      const Linear head(b.parameter(w));
      const ModelOutput output{.hidden_TD = in};
      const TermValue value = CrossEntropy().evaluate({b.context, output, head, {11, 11, 1, 3}});
      value.loss.backward();
      Tensors all = b.results({});
      all.push_back(value.loss.detach());
      all.push_back(token_losses(b.context, head, in.detach(), b.batch().targets_T));
      results.push_back(all);
    }
    ASSERT_EQ(results[0].size(), results[1].size());
    for (std::size_t i = 0; i < results[0].size(); ++i)
      expect_near(results[1][i], results[0][i], allowed_in(compute), std::to_string(i));
  }
}

// Three steps of `make` with the clip by the global norm -> all weights and the norms.
Tensors weights_after(const RankContext& context,
                      const std::function<std::unique_ptr<Optimizer>(const ParameterSet&)>& make) {
  const ParameterSet parameters = parameters_of(tiny_olmoe(), context, 7, at::kFloat);
  const std::unique_ptr<Optimizer> optimizer = make(parameters);
  Tensors all;
  for (std::int64_t step = 1; step <= 3; ++step) {
    Gradients gradients;
    for (const Parameter& parameter : parameters) {
      if (!parameter.trainable) continue;
      gradients.entries.push_back(
          {parameter, parameter.tensor.mul(static_cast<double>(step)).cos()});
    }
    MetricsRow row;
    ClipByGlobalNorm(1.0).apply(context, {.number = step}, gradients, row);
    all.push_back(at::tensor(global_norm(context, gradients)));
    optimizer->step(gradients, step, 1e-2);
    for (const GradientEntry& entry : gradients.entries)
      EXPECT_EQ(entry.gradient.abs().sum().item<double>(), 0);  // used up
  }
  for (const Parameter& parameter : parameters) all.push_back(parameter.tensor);
  return all;
}

TEST_F(OptimizersOnDevice, MoveWeightsAsOnTheCpu) {
  const std::vector<std::function<std::unique_ptr<Optimizer>(const ParameterSet&)>> optimizers = {
      [](const ParameterSet& p) { return make_adamw(p, {.weight_decay = 0.1}); },
      [](const ParameterSet& p) { return make_sgd(p, {}); },
      [](const ParameterSet& p) { return make_sgd(p, {.momentum = 0.9, .weight_decay = 0.1}); }};
  for (const auto& make : optimizers) {
    const Tensors wanted = weights_after(context(at::kCPU), make);
    const Tensors got = weights_after(context(device()), make);
    ASSERT_EQ(got.size(), wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      expect_near(got[i], wanted[i], allowed_in(at::kFloat), std::to_string(i));
  }
}

// In float64, where nothing but a mistake makes a difference.
TEST_F(ModelOnDevice, LossAndAllGradients) {
  const StepSize size{batch.tokens(), batch.tokens(), 1, 3};
  const RankContext here = context(at::kCPU), there = context(device());
  TinyRun wanted(here, tiny_olmoe(), batch, size);
  TinyRun got(there, tiny_olmoe(), to_device(batch, device()), size);
  EXPECT_NEAR(got.loss(true), wanted.loss(true), 1e-10);
  for (const Parameter& parameter : wanted.parameters) {
    if (!parameter.trainable) continue;
    const Parameter* other = got.find(parameter.name);
    ASSERT_NE(other, nullptr);
    expect_near(got.gradient(*other), wanted.gradient(parameter), 1e-9, parameter.name);
  }
}

}  // namespace
}  // namespace moesaic::test
