// The gradient of the whole model against finite differences, with the experts on one rank and
// spread over all.
#include <gtest/gtest.h>

#include <cmath>

#include "support/mpi_test.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

using test::TinyRun;

// Moves one element of the parameter on every rank that holds it.
void nudge(const Parameter& parameter, std::int64_t element, double by) {
  const std::int64_t row_size = parameter.numel() / parameter.shape[0];
  const std::int64_t local = element - parameter.offset * row_size;
  if (local >= 0 && local < parameter.local_numel())
    parameter.tensor.mutable_data_ptr<double>()[local] += by;
}

// The element's gradient, from a rank that holds it.
double gradient_at(const RankContext& context, const Parameter& parameter,
                   const at::Tensor& gradient, std::int64_t element) {
  const std::int64_t row_size = parameter.numel() / parameter.shape[0];
  const std::int64_t local = element - parameter.offset * row_size;
  const bool here = local >= 0 && local < parameter.local_numel();
  double value = here ? gradient.contiguous().const_data_ptr<double>()[local] : -1e300;
  return context.world.all_reduce(value, ReduceOp::kMax, "gradient_at");
}

void check(const RankContext& context) {
  const int ranks = context.world.size();
  // Uneven micro-batches; with three ranks or more the last one has none.
  const bool idle = ranks >= 3 && context.rank() == ranks - 1;
  const Batch mine =
      idle ? empty_batch() : test::batch_of({3 + context.rank(), 2}, 31, 100 * context.rank());
  const auto sum = [&](std::int64_t n) {
    return static_cast<std::int64_t>(
        context.world.all_reduce(static_cast<double>(n), ReduceOp::kSum, "size"));
  };
  TinyRun run(context, test::tiny_olmoe(), mine,
              {sum(mine.tokens()), sum(mine.tokens()), sum(mine.tokens() > 0)});
  run.loss(true);
  std::vector<at::Tensor> gradients;
  for (const Parameter& p : run.parameters) gradients.push_back(run.gradient(p).clone());

  constexpr double kStep = 1e-5;
  for (const Parameter& p : run.parameters) {
    const std::int64_t count = p.numel();
    for (std::int64_t i = 0; i < 6; ++i) {
      const std::int64_t element = (i * 7919 + p.index * 31) % count;
      nudge(p, element, kStep);
      const double above = run.loss(false);
      nudge(p, element, -2 * kStep);
      const double below = run.loss(false);
      nudge(p, element, kStep);
      const double numeric = (above - below) / (2 * kStep);
      const double analytic =
          gradient_at(context, p, gradients[static_cast<std::size_t>(p.index)], element);
      EXPECT_NEAR(analytic, numeric, 2e-7 + 1e-5 * std::abs(numeric))
          << p.name << " element " << element;
    }
  }
}

TEST(Transformer, GradientEqualsFiniteDifferencesWithAllExpertsOnEachRank) {
  const Communicator world = test::world();
  check(RankContext::make(world, Plan::make(world.size(), 1, 12), Log()));
}

TEST(Transformer, GradientEqualsFiniteDifferencesWithExpertsSpreadOverAllRanks) {
  const Communicator world = test::world();
  check(RankContext::make(world, Plan::make(world.size(), world.size(), 12), Log()));
}

TEST(Transformer, AnExpertWithoutTokensHasAZeroGradient) {
  const Communicator world = test::world();
  const RankContext context =
      RankContext::make(world, Plan::make(world.size(), world.size(), 12), Log());
  TinyRun run(context, test::tiny_olmoe(), test::batch_of({1}, 31),
              {world.size(), world.size(), world.size()});
  run.loss(true);  // one token a rank, all the same: 3 of 12 experts
  double zero_experts = 0;
  const Parameter* down = run.find("model.layers.0.mlp.experts.down_proj.weight");
  ASSERT_NE(down, nullptr);
  const at::Tensor gradient = run.gradient(*down);
  for (std::int64_t e = 0; e < gradient.size(0); ++e)
    zero_experts += gradient[e].abs().max().item<double>() == 0;
  EXPECT_EQ(context.expert.all_reduce(zero_experts, ReduceOp::kSum, "zero"), 9);
}

}  // namespace
}  // namespace moesaic
