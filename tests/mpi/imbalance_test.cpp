// Routers that are forced out of balance: every token to one rank's experts, to others each time,
// ranks without tokens, experts that lie elsewhere. The results are those of one rank per model.
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "moe/placement.h"
#include "support/mpi_test.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

constexpr std::int64_t kExperts = 12, kChosen = 3;

arch::Options biased_olmoe() {
  arch::Options options = test::tiny_olmoe(kExperts);
  options.correction_bias = true;
  return options;
}

/// The same model with all experts on each rank, and spread over all.
struct Pair {
  Communicator world = test::world();
  RankContext together = RankContext::make(world, Plan::make(world.size(), 1, kExperts), Log());
  RankContext spread =
      RankContext::make(world, Plan::make(world.size(), world.size(), kExperts), Log());
  test::TinyRun one, split;

  Pair(const Batch& mine, const StepSize& size)
      : one(together, biased_olmoe(), mine, size), split(spread, biased_olmoe(), mine, size) {}

  void favour(std::int64_t first) {
    for (const test::TinyRun* run : {&one, &split}) {
      for (const Parameter& p : run->parameters) {
        if (!p.correction_bias) continue;
        at::Tensor(p.tensor).zero_();
        for (std::int64_t k = 0; k < kChosen; ++k) p.tensor[(first + k) % kExperts].fill_(10);
      }
    }
  }
  void compare() {
    EXPECT_NEAR(one.loss(true), split.loss(true), 1e-12);
    for (const Parameter& p : one.parameters) {
      if (!p.trainable) continue;
      const Parameter& other = *split.find(p.name);
      const at::Tensor wanted = one.gradient(p).narrow(0, other.offset, other.tensor.size(0));
      EXPECT_TRUE(at::allclose(split.gradient(other), wanted, 1e-9, 1e-13)) << p.name;
    }
  }
};

StepSize size_of(const Communicator& world, const Batch& mine) {
  const auto sum = [&](std::int64_t n) {
    return static_cast<std::int64_t>(
        world.all_reduce(static_cast<double>(n), ReduceOp::kSum, "size"));
  };
  return {sum(mine.tokens()), sum(mine.tokens()), sum(mine.tokens() > 0)};
}

TEST(Imbalance, AllTokensToTheExpertsOfOneRankAndToOthersEachStep) {
  const Communicator world = test::world();
  const Batch mine = test::batch_of({3 + world.rank(), 2}, 31, 100 * world.rank());
  Pair pair(mine, size_of(world, mine));
  for (const std::int64_t first : {0, 5, 11, 8}) {
    pair.favour(first);
    pair.compare();
  }
}

TEST(Imbalance, AllTokensOnOneRankForExpertsOfAnother) {
  const Communicator world = test::world();
  const Batch mine = world.rank() == 0 ? test::batch_of({7, 2}, 31) : empty_batch();
  Pair pair(mine, size_of(world, mine));
  for (const std::int64_t first : {0, 9}) {
    pair.favour(first);
    pair.compare();
  }
}

TEST(MoveExperts, BringsEachToItsSlotAndBack) {
  const Communicator world = test::world();
  const std::int64_t local = 12 / world.size(), first = world.rank() * local;
  std::mt19937 draw(7);  // the same on all ranks
  Slots from = slots_in_order(12);
  at::Tensor rows = at::arange(first, first + local, at::kLong).unsqueeze(1).repeat({1, 3});
  for (int round = 0; round < 10; ++round) {
    Slots to = from;
    std::shuffle(to.begin(), to.end(), draw);
    move_experts(rows, from, to, world);
    for (std::int64_t expert = 0; expert < 12; ++expert) {
      const std::int64_t slot = to[static_cast<std::size_t>(expert)] - first;
      if (slot < 0 || slot >= local) continue;
      EXPECT_TRUE(rows[slot].eq(expert).all().item<bool>());
    }
    from = to;
  }
}

}  // namespace
}  // namespace moesaic
