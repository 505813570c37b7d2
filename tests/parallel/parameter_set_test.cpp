#include "parallel/parameter_set.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "parallel/state_dict.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

Parameter dense(const std::string& name) { return test::parameter_of(name, at::zeros({2, 3})); }

Parameter expert(const std::string& name) { return test::expert_of(name, at::zeros({2, 3}), 4, 8); }

TEST(ParameterSet, KeepsOrderAndGivesIndices) {
  const Parameter first = dense("a");
  const ParameterSet set({first, expert("b")});
  EXPECT_EQ(set.size(), 2U);
  EXPECT_EQ(set[0].index, 0);
  EXPECT_EQ(set[1].name, "b");
  EXPECT_EQ(set[1].index, 1);
  EXPECT_EQ(set.find("b"), &set[1]);
  EXPECT_EQ(set.find("c"), nullptr);
  EXPECT_TRUE(set[0].tensor.is_same(first.tensor));
}

TEST(ParameterSet, StaysWhereItIsWhenItIsMoved) {
  ParameterSet set({dense("a"), expert("b")});
  const Parameter* second = set.find("b");
  const ParameterSet moved = std::move(set);
  EXPECT_EQ(moved.find("b"), second);
  EXPECT_EQ(&moved[1], second);
}

TEST(ParameterSet, CountsGlobalValuesOnce) {
  const ParameterSet set({dense("a"), expert("b")});
  EXPECT_EQ(set[1].local_numel(), 6);
  EXPECT_EQ(set[1].numel(), 24);
  EXPECT_EQ(set.global_count(), 30);
}

TEST(ParameterSet, RefusesTwoOfOneName) {
  EXPECT_THROW(ParameterSet({dense("a"), dense("a")}), Error);
}

TEST(ParameterSet, RefusesATensorThatIsNotPartOfTheGlobalShape) {
  Parameter undefined = dense("a");
  undefined.tensor = at::Tensor();
  EXPECT_THROW(ParameterSet({undefined}), Error);
  Parameter shape = dense("a");
  shape.shape = {3, 2};
  EXPECT_THROW(ParameterSet({shape}), Error);
  Parameter outside = expert("a");
  outside.offset = 7;
  EXPECT_THROW(ParameterSet({outside}), Error);
  Parameter width = expert("a");
  width.shape = {8, 4};
  EXPECT_THROW(ParameterSet({width}), Error);
}

arch::ParameterTable sample_table() {
  return {{.name = "norm", .shape = {3}, .init = arch::Init::kOnes, .decay = false},
          {.name = "bias", .shape = {3}, .init = arch::Init::kZeros, .trainable = false},
          {.name = "experts", .shape = {8, 300}, .scope = Scope::kExpert, .init_std = 0.5}};
}

TEST(ParameterSet, IsMadeFromARowForEachParameter) {
  const ParameterSet set(sample_table(), {.seed = 3, .dtype = at::kDouble});
  EXPECT_TRUE(at::equal(set[0].tensor, at::ones({3}, at::kDouble)));
  EXPECT_TRUE(at::equal(set[1].tensor, at::zeros({3}, at::kDouble)));
  EXPECT_FALSE(set[0].decay);
  EXPECT_FALSE(set[1].trainable);
  EXPECT_NEAR(set[2].tensor.std().item<double>(), 0.5, 0.03);
}

TEST(ParameterSet, HasTheSameInitialValuesOnEveryLayout) {
  const ParameterSet whole(sample_table(), {.seed = 3});
  for (int rank = 0; rank < 4; ++rank) {
    const ParameterSet part(sample_table(), {.seed = 3, .rank = rank, .plan = Plan::make(4, 4, 8)});
    EXPECT_EQ(part[2].offset, 2 * rank);
    EXPECT_TRUE(at::equal(part[2].tensor, whole[2].tensor.narrow(0, 2 * rank, 2)));
  }
  const ParameterSet other(sample_table(), {.seed = 4});
  EXPECT_FALSE(at::equal(other[2].tensor, whole[2].tensor));
}

TEST(StateDict, ViewsTheLiveValuesInOrder) {
  const ParameterSet set({dense("a"), expert("b")});
  const StateDict state = state_of(set);
  ASSERT_EQ(state.size(), 2U);
  EXPECT_EQ(state[1].name, "b");
  EXPECT_EQ(state[1].offset, 4);
  EXPECT_EQ(state[1].scope, Scope::kExpert);
  EXPECT_EQ(state[1].global_shape, (std::vector<std::int64_t>{8, 3}));
  EXPECT_TRUE(state[1].tensor.is_same(set[1].tensor));
}

TEST(StateDict, AnEntryLikeAParameterIsPlacedLikeIt) {
  const at::Tensor moment = at::zeros({2, 3});
  const StateEntry entry = entry_like(expert("b"), "exp_avg", moment);
  EXPECT_EQ(entry.name, "exp_avg/b");
  EXPECT_EQ(entry.offset, 4);
  EXPECT_EQ(entry.scope, Scope::kExpert);
  EXPECT_TRUE(entry.tensor.is_same(moment));
}

TEST(StateDict, ASpreadEntryIsTheOwnedRowsOfTheLocalOnes) {
  const at::Tensor moment = at::zeros({1, 3});
  const StateEntry entry = spread_entry_like(expert("b"), "exp_avg", moment, {1, 1});
  EXPECT_EQ(entry.name, "exp_avg/b");
  EXPECT_TRUE(entry.spread);
  EXPECT_EQ(entry.rows(), (RowRange{5, 1}));
  entry.check_rows();
  spread_entry_like(expert("b"), "exp_avg", at::zeros({0, 3}), {0, 0}).check_rows();
  EXPECT_THROW(spread_entry_like(expert("b"), "exp_avg", moment, {0, 2}), Error);
}

TEST(StateDict, RefusesRowsThatAreNoWholeBlocks) {
  const auto refused = [](const std::vector<std::int64_t>& shape, std::int64_t offset,
                          bool spread) {
    const StateEntry entry{.name = "a",
                           .tensor = at::zeros(shape),
                           .global_shape = {9001, 2},
                           .offset = offset,
                           .spread = spread};
    try {
      entry.check_rows();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInternal);
      return true;
    }
    return false;
  };
  EXPECT_FALSE(refused({9001, 2}, 0, false));
  EXPECT_FALSE(refused({4096, 2}, 4096, true));
  EXPECT_FALSE(refused({809, 2}, 8192, true));
  EXPECT_FALSE(refused({0, 2}, 0, true));
  EXPECT_TRUE(refused({4096, 2}, 4096, false));  // dense entries that are not spread are whole
  EXPECT_TRUE(refused({4096, 2}, 1, true));
  EXPECT_TRUE(refused({100, 2}, 0, true));
  EXPECT_TRUE(refused({810, 2}, 8192, true));
  EXPECT_TRUE(refused({4096, 3}, 0, true));
  EXPECT_TRUE(refused({4096}, 0, true));
}

}  // namespace
}  // namespace moesaic
