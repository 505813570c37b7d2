#include "continual/change_path.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "continual/fisher.h"
#include "continual/path_integral.h"
#include "models/make_model.h"
#include "support/parameters.h"
#include "support/tiny_lora.h"

namespace moesaic {
namespace {

using test::CaptureSink;

const RankContext& alone() {
  static const RankContext context = RankContext::single();
  return context;
}

at::Tensor normal(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }

/// A tiny model with adapters beside all its linear maps, those of experts, too.
struct Adapted {
  arch::Options arch = test::tiny_olmoe();
  LoraOptions lora;
  test::TinyRun run;

  Adapted(const LoraOptions& options, BlockPass pass)
      : lora(options),
        run(alone(), arch, test::batch_of({3, 3, 5}, 31), {.target_tokens = 20, .micro_batches = 1},
            pass, test::tiny_lora(lora, arch)) {}

  std::vector<LowRankPair> pairs() const {
    return low_rank_pairs(test::lora_recipe(lora), arch, run.parameters);
  }
  void backward(const Model& model, GradientSink& sink) {
    const at::AutoGradMode on(true);
    ForwardContext forward = run.computation.forward(run.batch);
    forward.sink = &sink;
    forward.training = true;
    const ModelOutput output = model.forward(forward);
    CrossEntropy().evaluate({forward, output, model.head(), run.size}).loss.backward();
  }
  /// The gradients of the full weights, by a model that trains them.
  CaptureSink of_full() {
    const ParameterSet full = in_full(run.parameters);
    const auto adapters = make_lora(test::lora_recipe(lora), arch, full);
    CaptureSink sink;
    backward(*make_model({.arch = arch, .adapters = adapters.get()}, full, alone()), sink);
    return sink;
  }
};

at::Tensor product(const LowRankPair& pair) {
  return at::matmul(pair.b.tensor, pair.a.tensor).mul(pair.scale);
}

// Two micro-batches a step, two steps. What the factors do in a step is drawn.
TEST(ChangePath, IsTheFullWeightsGradientTimesTheWayOfItsChange) {
  LoraOptions frozen_a = test::rank(2, 4), codes = frozen_a;
  frozen_a.train_a = false;
  codes.base = "nf4";
  for (const LoraOptions& lora : {test::rank(2, 4), frozen_a, codes}) {
    for (const BlockPass& pass : {BlockPass(keep_activations), BlockPass(recompute_activations)}) {
      Adapted adapted(lora, pass);
      const std::vector<LowRankPair> pairs = adapted.pairs();
      ChangePath path(pairs);
      std::map<std::string, at::Tensor> expected;
      for (int step = 0; step < 2; ++step) {
        const CaptureSink full = adapted.of_full();
        auto inner = std::make_unique<CaptureSink>();
        const CaptureSink& factors = *inner;
        const auto sink = followed_by(path, std::move(inner), MatmulKernel::kMkl);
        path.before({});
        for (int batch = 0; batch < 2; ++batch) adapted.backward(adapted.run.model, *sink);
        path.gradient_done(alone(), {});
        std::map<std::string, at::Tensor> before;
        for (const LowRankPair& pair : pairs) {
          EXPECT_EQ(factors.gradients.contains(pair.a.index), lora.train_a) << pair.a.name;
          EXPECT_TRUE(factors.gradients.contains(pair.b.index)) << pair.b.name;
          EXPECT_FALSE(factors.gradients.contains(pair.weight.index)) << pair.weight.name;
          before[pair.weight.name] = product(pair);
          at::Tensor(pair.b.tensor).add_(normal(pair.b.tensor.sizes()), 0.1);
          if (lora.train_a) at::Tensor(pair.a.tensor).add_(normal(pair.a.tensor.sizes()), 0.1);
        }
        path.after(alone(), {});
        for (const LowRankPair& pair : pairs) {
          const at::Tensor work = full.gradients.at(pair.weight.index)
                                      .mul(2)
                                      .mul(product(pair).sub(before[pair.weight.name]));
          at::Tensor& sum = expected[pair.weight.name];
          sum = sum.defined() ? sum.sub(work) : work.neg();
          EXPECT_GT(sum.abs().max().item<double>(), 0) << pair.weight.name;
          EXPECT_TRUE(at::allclose(path.of(pair.weight), sum, 1e-8, 1e-12)) << pair.weight.name;
        }
      }
    }
  }
}

TEST(ChangePath, LeavesTheFactorsGradientsAsTheyAre) {
  Adapted adapted(test::rank(2, 4), keep_activations);
  CaptureSink plain;
  adapted.backward(adapted.run.model, plain);
  ChangePath path(adapted.pairs());
  auto inner = std::make_unique<CaptureSink>();
  const CaptureSink& factors = *inner;
  const auto sink = followed_by(path, std::move(inner), MatmulKernel::kMkl);
  adapted.backward(adapted.run.model, *sink);
  ASSERT_EQ(factors.gradients.size(), plain.gradients.size());
  for (const auto& [index, gradient] : plain.gradients)
    EXPECT_TRUE(at::equal(factors.gradients.at(index), gradient));
}

TEST(ChangePath, BeginsEachStepWithoutGradient) {
  Adapted adapted(test::rank(2, 4), keep_activations);
  const std::vector<LowRankPair> pairs = adapted.pairs();
  ChangePath path(pairs);
  const auto sink = followed_by(path, std::make_unique<CaptureSink>(), MatmulKernel::kMkl);
  path.before({});
  adapted.backward(adapted.run.model, *sink);
  path.gradient_done(alone(), {});  // a step that is skipped: its update does not come
  path.before({});
  path.gradient_done(alone(), {});
  at::Tensor(pairs[0].b.tensor).add_(1);
  path.after(alone(), {});
  EXPECT_EQ(path.of(pairs[0].weight).abs().max().item<double>(), 0);
}

class NoData : public StepData {
 public:
  StepSize size(std::int64_t) const override { return {}; }
  Batch micro_batch(std::int64_t, std::int64_t) const override { return {}; }
};

/// A frozen weight of two experts and its factors.
struct Pair {
  ParameterSet set{parameters()};
  std::vector<LowRankPair> pairs{{set[0], set[1], set[2], 1.5}};
  Remembered remembered{set, pairs, nullptr, {.joining = Joining::kRunning, .changes = true}};
  Penalty penalty{remembered, {"si", 0.5}};
  ChangePath changes{pairs};
  PathIntegral path{set, nullptr, remembered, penalty, &changes};

  static std::vector<Parameter> parameters() {
    std::vector<Parameter> all = {test::expert_of("layers.0.e.weight", normal({2, 5, 4}), 0, 2),
                                  test::expert_of("layers.0.e.a", normal({2, 3, 4}), 0, 2),
                                  test::expert_of("layers.0.e.b", normal({2, 5, 3}), 0, 2)};
    all[0].trainable = false;
    all[1].adapter = all[2].adapter = true;
    return all;
  }
  at::Tensor change() const { return product(pairs[0]); }
  /// -> the gradient of the weight.
  at::Tensor step() {
    const at::Tensor x = normal({7, 4}), dy = normal({7, 5});
    changes.before({});
    changes.add({.kind = ParameterUse::Kind::kGrouped,
                 .parameter = set[0],
                 .input = x,
                 .output_gradient = dy,
                 .offsets = GroupOffsets({0, 3, 7})},
                MatmulKernel::kMkl);
    changes.gradient_done(alone(), {});
    for (const std::size_t factor : {1U, 2U})
      at::Tensor(set[factor].tensor).add_(normal(set[factor].tensor.sizes()), 0.3);
    changes.after(alone(), {});
    const auto of = [&](std::int64_t first, std::int64_t count) {
      return at::matmul(dy.narrow(0, first, count).t(), x.narrow(0, first, count));
    };
    return at::stack({of(0, 3), of(3, 4)});
  }
  void end_task() {
    const NoData data;
    const Recipe recipe;
    path.task_ended(alone(), {.name = "task", .recipe = recipe, .data = data});
  }
};

TEST(ChangePath, BecomesTheImportanceOfTheChangeAtATasksEnd) {
  Pair pair;
  at::Tensor importance = at::zeros({2, 5, 4}, at::kDouble);
  for (int task = 0; task < 2; ++task) {
    const at::Tensor start = pair.change();
    at::Tensor work = at::zeros_like(start);
    for (int step = 0; step < 3; ++step) {
      const at::Tensor before = pair.change();
      const at::Tensor gradient = pair.step();
      work.sub_(gradient.mul(pair.change().sub(before)));
    }
    const at::Tensor way = pair.change().sub(start);
    importance.add_(work.clamp_min(0).div(way.square().add(PathIntegral::kXi)));
    pair.end_task();
    const Remembered::Of& of = *pair.remembered.find(pair.set[0]);
    EXPECT_TRUE(at::allclose(of.fisher, importance, 1e-10, 1e-12));
    EXPECT_TRUE(at::allclose(of.anchor, pair.change(), 1e-12, 1e-14));
    EXPECT_GT(importance.max().item<double>(), 0);
    const StateDict state = pair.changes.state();
    ASSERT_EQ(state.size(), 1U);
    EXPECT_EQ(state[0].name, "path/layers.0.e.weight");
    EXPECT_EQ(state[0].tensor.abs().max().item<double>(), 0) << "it begins anew";
  }
}

}  // namespace
}  // namespace moesaic
