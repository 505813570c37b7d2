#include "parallel/ownership.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

constexpr std::int64_t kExperts = 6;  // of which two are here

void add(std::vector<Parameter>& parameters, const std::vector<std::int64_t>& shape,
         Scope scope = Scope::kDense, bool trainable = true) {
  const std::string name = format("p{}", parameters.size());
  parameters.push_back(scope == Scope::kExpert
                           ? test::expert_of(name, at::zeros(shape), 2, kExperts)
                           : test::parameter_of(name, at::zeros(shape)));
  parameters.back().trainable = trainable;
}

/// An embedding of three digest blocks, matrices of one, norms, experts, and something frozen.
ParameterSet sample() {
  std::vector<Parameter> set;
  add(set, {9001, 4});
  add(set, {8, 16});
  add(set, {2, 8, 5}, Scope::kExpert);
  add(set, {16});
  add(set, {5000, 2}, Scope::kDense, /*trainable=*/false);
  add(set, {2, 5, 8}, Scope::kExpert);
  add(set, {64, 64});
  add(set, {4097, 3});
  return ParameterSet(std::move(set));
}

Ownership::Groups groups_of(int ranks, int rank = 0) {
  return {.dense = {rank, ranks}, .expert = {rank, ranks}};
}

std::int64_t row_bytes(const Parameter& parameter) {
  return static_cast<std::int64_t>(parameter.tensor.nbytes()) / parameter.tensor.size(0);
}

TEST(Ownership, GivesEveryRowOfATrainableParameterToOneRankInWholeBlocks) {
  const ParameterSet set = sample();
  for (int ranks = 1; ranks <= 9; ++ranks) {
    const Ownership ownership(set, groups_of(ranks));
    for (const Parameter& parameter : set) {
      const RowBlocks blocks = RowBlocks::of(parameter.scope, parameter.tensor.size(0));
      std::int64_t next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const RowRange rows = ownership.of(parameter, rank);
        EXPECT_TRUE(blocks.are_whole(rows)) << parameter.name << " of " << ranks << " ranks";
        if (rows.count == 0) continue;
        EXPECT_EQ(rows.first, next);  // in the order of the ranks
        next = rows.end();
      }
      EXPECT_EQ(next, parameter.trainable ? parameter.tensor.size(0) : 0) << parameter.name;
    }
  }
}

TEST(Ownership, IsContiguousInTheOrderOfTheParameters) {
  const ParameterSet set = sample();
  const Ownership ownership(set, groups_of(4));
  for (const Scope scope : {Scope::kDense, Scope::kExpert}) {
    int last = 0;
    for (const Parameter& parameter : set) {
      if (parameter.scope != scope) continue;
      for (int rank = 0; rank < 4; ++rank) {
        if (ownership.of(parameter, rank).count == 0) continue;
        EXPECT_GE(rank, last) << parameter.name;
        last = rank;
      }
    }
  }
}

TEST(Ownership, GivesNoRankMoreThanAnEvenShareAndOneBlock) {
  std::vector<Parameter> parameters;
  std::int64_t total = 0, largest = 0;
  for (std::int64_t i = 0; i < 60; ++i) {
    add(parameters, {1 + i * 7919 % 9000, 1 + i * 31 % 7});
    const Parameter& parameter = parameters.back();
    total += static_cast<std::int64_t>(parameter.tensor.nbytes());
    largest = std::max(
        largest, std::min<std::int64_t>(4096, parameter.tensor.size(0)) * row_bytes(parameter));
  }
  const ParameterSet set(std::move(parameters));
  for (const int ranks : {1, 2, 3, 4, 7, 16}) {
    const Ownership ownership(set, groups_of(ranks));
    for (int rank = 0; rank < ranks; ++rank) {
      std::int64_t bytes = 0;
      for (const Parameter& parameter : set)
        bytes += ownership.of(parameter, rank).count * row_bytes(parameter);
      EXPECT_LE(bytes, total / ranks + largest) << rank << " of " << ranks;
      EXPECT_GE(bytes, total / ranks - largest) << rank << " of " << ranks;
    }
  }
}

TEST(Ownership, SharesOutDenseOverWorldAndExpertsOverTheirReplicas) {
  std::vector<Parameter> parameters;
  add(parameters, {8192, 2});
  add(parameters, {2, 4, 4}, Scope::kExpert);
  const ParameterSet set(std::move(parameters));
  // Rank 3 of 4, with two expert groups: the second replica of its experts.
  const Ownership ownership(set, {.dense = {3, 4}, .expert = {1, 2}});
  EXPECT_EQ(ownership.of(set[0], 1), (RowRange{0, 4096}));  // the middles of the blocks are at 1/4
  EXPECT_EQ(ownership.of(set[0], 3), (RowRange{4096, 4096}));  // and 3/4
  EXPECT_EQ(ownership.of(set[0], 0).count + ownership.of(set[0], 2).count, 0);
  EXPECT_EQ(ownership.own(set[0]), (RowRange{4096, 4096}));
  EXPECT_EQ(ownership.of(set[1], 0), (RowRange{0, 1}));
  EXPECT_EQ(ownership.own(set[1]), (RowRange{1, 1}));
  EXPECT_THROW(ownership.of(set[1], 2), Error);
}

TEST(Ownership, OfOneRankIsEverything) {
  const ParameterSet set = sample();
  const Ownership ownership = Ownership::make(set, RankContext::single());
  for (const Parameter& parameter : set) {
    const std::int64_t all = parameter.trainable ? parameter.tensor.size(0) : 0;
    EXPECT_EQ(ownership.own(parameter), (RowRange{0, all})) << parameter.name;
  }
}

TEST(Ownership, LeavesRanksWithoutRowsWhereThereAreFewBlocks) {
  const ParameterSet set({test::parameter_of("p", at::zeros({3, 3}))});
  const Ownership ownership(set, groups_of(5));
  EXPECT_EQ(ownership.of(set[0], 2), (RowRange{0, 3}));
  EXPECT_EQ(ownership.counts({0}), (std::vector<std::int64_t>{0, 0, 9, 0, 0}));
}

TEST(Ownership, CountsTheValuesOfEachRankInAFlatBuffer) {
  const ParameterSet set = sample();
  const Ownership ownership(set, groups_of(3));
  const std::vector<std::vector<std::size_t>> buffers = {{0}, {0, 1, 3, 6, 7}, {1, 6}, {2, 5}, {5}};
  for (const auto& positions : buffers) {
    const std::vector<std::int64_t> counts = ownership.counts(positions);
    ASSERT_EQ(counts.size(), 3U);
    for (int rank = 0; rank < 3; ++rank) {
      std::int64_t values = 0;
      for (const std::size_t i : positions)
        values += ownership.of(set[i], rank).count * (set[i].local_numel() / set[i].tensor.size(0));
      EXPECT_EQ(counts[static_cast<std::size_t>(rank)], values) << rank;
    }
  }
}

TEST(Ownership, RefusesABufferWhoseSharesWouldNotLieTogether) {
  const Ownership ownership(sample(), groups_of(3));
  EXPECT_THROW(ownership.counts({}), Error);
  EXPECT_THROW(ownership.counts({1, 0}), Error);     // not in order
  EXPECT_THROW(ownership.counts({1, 2}), Error);     // two groups
  EXPECT_THROW(ownership.counts({1, 4, 6}), Error);  // a frozen one
}

}  // namespace
}  // namespace moesaic
