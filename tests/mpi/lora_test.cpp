// Adapters in the whole model: their gradients against finite differences, and the same on every
// layout.
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>

#include "adapt/begin.h"
#include "support/mpi_test.h"
#include "support/tiny_lora.h"

namespace moesaic {
namespace {

using test::TinyRun;

LoraOptions some_lora(double dropout, bool dora = false) {
  LoraOptions lora;
  lora.use_dora = dora;
  lora.r = 2;
  lora.lora_alpha = 3;
  lora.lora_dropout = dropout;
  lora.router = "lora";
  lora.rank_pattern = {{"down_proj", 3}};
  lora.modules_to_save = {"lm_head"};
  return lora;
}

RankContext context_of(int expert) {
  const Communicator world = test::world();
  return RankContext::make(world, Plan::make(world.size(), expert, 12), Log());
}

Batch batch_of_rank(const RankContext& context) {
  const int ranks = context.world.size();
  const bool idle = ranks >= 3 && context.rank() == ranks - 1;
  return idle ? empty_batch() : test::batch_of({3 + context.rank(), 2}, 31, 100 * context.rank());
}

TinyRun run_of(const RankContext& context, double dropout, BlockPass pass = keep_activations,
               bool dora = false) {
  const arch::Options arch = test::tiny_olmoe();
  return TinyRun(context, arch, batch_of_rank(context), {40, 40, context.world.size()}, pass,
                 test::tiny_lora(some_lora(dropout, dora), arch));
}

void move(const Parameter& p, std::int64_t element, double by) {
  const std::int64_t local = element - p.offset * (p.numel() / p.shape[0]);
  if (local >= 0 && local < p.local_numel()) p.tensor.mutable_data_ptr<double>()[local] += by;
}

// The gradients of one element of each trainable parameter but the factors where they have
// magnitudes: there the lengths count as constants, which no difference knows.
void expect_finite_differences(const RankContext& context, TinyRun& run, bool with_factors) {
  run.loss(true);
  constexpr double kStep = 1e-5;
  for (const Parameter& p : run.parameters) {
    const at::Tensor gradient = run.gradient(p);
    ASSERT_EQ(gradient.defined(), p.trainable) << p.name;
    const bool is_factor = p.name.ends_with("lora_A.weight") || p.name.ends_with("lora_B.weight");
    if (!p.trainable || (is_factor && !with_factors)) continue;
    const at::Tensor kept = gradient.clone().contiguous();
    const std::int64_t element = 31 * p.index % p.numel();
    const std::int64_t local = element - p.offset * (p.numel() / p.shape[0]);
    const bool here = local >= 0 && local < p.local_numel();
    const double analytic = context.world.all_reduce(
        here ? kept.const_data_ptr<double>()[local] : -1e300, ReduceOp::kMax, "gradient");
    move(p, element, kStep);
    const double above = run.loss(false);
    move(p, element, -2 * kStep);
    const double below = run.loss(false);
    move(p, element, kStep);
    const double numeric = (above - below) / (2 * kStep);
    EXPECT_NEAR(analytic, numeric, 2e-7 + 1e-5 * std::abs(numeric)) << p.name;
    run.loss(true);
  }
}

TEST(LoraOfAModel, GradientEqualsFiniteDifferences) {
  const RankContext context = context_of(test::world().size());
  TinyRun run = run_of(context, 0);
  expect_finite_differences(context, run, true);
}

TEST(DoraOfAModel, GradientOfMagnitudesEqualsFiniteDifferences) {
  const RankContext context = context_of(test::world().size());
  TinyRun run = run_of(context, 0, keep_activations, true);
  expect_finite_differences(context, run, false);
}

// With dropout, so that its draws are compared, too.
void expect_same_on_every_layout(bool dora) {
  const RankContext here = context_of(1), spread = context_of(test::world().size());
  TinyRun one = run_of(here, 0.3, keep_activations, dora);
  TinyRun other = run_of(spread, 0.3, keep_activations, dora);
  EXPECT_NEAR(one.loss(true), other.loss(true), 1e-12);
  for (const Parameter& p : other.parameters) {
    if (!p.trainable) continue;
    at::Tensor whole = one.gradient(*one.find(p.name));
    if (p.scope == Scope::kExpert) whole = whole.narrow(0, p.offset, p.tensor.size(0));
    EXPECT_TRUE(at::allclose(other.gradient(p), whole, 1e-10, 1e-13)) << p.name;
  }
}

TEST(LoraOfAModel, IsTheSameOnEveryLayout) { expect_same_on_every_layout(false); }
TEST(DoraOfAModel, IsTheSameOnEveryLayout) { expect_same_on_every_layout(true); }

// All ranks share the work of the first layout, each has experts of its own in the second.
TEST(PissaOfAModel, BeginsWithTheSameBitsOnEveryLayout) {
  const arch::Options arch = test::tiny_olmoe();
  LoraOptions lora = some_lora(0);
  lora.init_lora_weights = "pissa";
  const Recipe recipe = test::lora_recipe(lora);
  const RankContext here = context_of(1), spread = context_of(test::world().size());
  const ParameterSet one = test::parameters_of(training_table(recipe, arch), here);
  const ParameterSet other = test::parameters_of(training_table(recipe, arch), spread);
  begin_adapters(recipe, arch, one, here);
  begin_adapters(recipe, arch, other, spread);
  for (const Parameter& p : other) {
    at::Tensor whole = one.find(p.name)->tensor;
    if (p.scope == Scope::kExpert) whole = whole.narrow(0, p.offset, p.tensor.size(0));
    EXPECT_TRUE(at::equal(p.tensor, whole)) << p.name;
  }
}

TEST(LoraOfAModel, GivesTheSameBitsWhereBlocksAreRecomputed) {
  const RankContext context = context_of(test::world().size());
  TinyRun kept = run_of(context, 0.3), again = run_of(context, 0.3, recompute_activations);
  EXPECT_EQ(kept.loss(true), again.loss(true));
  for (const Parameter& p : kept.parameters) {
    if (!p.trainable) continue;
    EXPECT_TRUE(at::equal(kept.gradient(p), again.gradient(p))) << p.name;
  }
}

}  // namespace
}  // namespace moesaic
