#include "parallel/parameter_set.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "parallel/state_dict.h"

namespace moesaic {
namespace {

Parameter dense(const std::string& name) {
  return {.name = name, .tensor = at::zeros({2, 3}), .global_shape = {2, 3}};
}

Parameter expert(const std::string& name) {
  return {.name = name,
          .tensor = at::zeros({2, 3}),
          .global_shape = {8, 3},
          .offset = 4,
          .scope = Scope::kExpert};
}

TEST(ParameterSet, KeepsOrderAndGivesIndices) {
  ParameterSet set;
  Parameter first = dense("a");
  Parameter second = expert("b");
  set.add(first);
  set.add(second);
  EXPECT_EQ(set.size(), 2U);
  EXPECT_EQ(first.index, 0);
  EXPECT_EQ(second.index, 1);
  EXPECT_EQ(set[1].name, "b");
  EXPECT_EQ(set[1].index, 1);
  EXPECT_EQ(set.find("b"), &set[1]);
  EXPECT_EQ(set.find("c"), nullptr);
  EXPECT_TRUE(set[0].tensor.is_same(first.tensor));
}

TEST(ParameterSet, CountsGlobalValuesOnce) {
  ParameterSet set;
  Parameter first = dense("a");
  Parameter second = expert("b");
  set.add(first);
  set.add(second);
  EXPECT_EQ(set[1].numel(), 6);
  EXPECT_EQ(set[1].global_numel(), 24);
  EXPECT_EQ(set.global_count(), 30);
}

TEST(ParameterSet, RefusesTwoOfOneName) {
  ParameterSet set;
  Parameter first = dense("a");
  Parameter second = dense("a");
  set.add(first);
  EXPECT_THROW(set.add(second), Error);
}

TEST(ParameterSet, RefusesATensorThatIsNotPartOfTheGlobalShape) {
  ParameterSet set;
  Parameter undefined = dense("a");
  undefined.tensor = at::Tensor();
  EXPECT_THROW(set.add(undefined), Error);
  Parameter shape = dense("a");
  shape.global_shape = {3, 2};
  EXPECT_THROW(set.add(shape), Error);
  Parameter outside = expert("a");
  outside.offset = 7;
  EXPECT_THROW(set.add(outside), Error);
  Parameter width = expert("a");
  width.global_shape = {8, 4};
  EXPECT_THROW(set.add(width), Error);
  EXPECT_EQ(set.size(), 0U);
}

TEST(StateDict, ViewsTheLiveValuesInOrder) {
  ParameterSet set;
  Parameter first = dense("a");
  Parameter second = expert("b");
  set.add(first);
  set.add(second);
  const StateDict state = state_of(set);
  ASSERT_EQ(state.size(), 2U);
  EXPECT_EQ(state[1].name, "b");
  EXPECT_EQ(state[1].offset, 4);
  EXPECT_EQ(state[1].scope, Scope::kExpert);
  EXPECT_EQ(state[1].global_shape, (std::vector<std::int64_t>{8, 3}));
  EXPECT_TRUE(state[1].tensor.is_same(second.tensor));
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
