#include "moe/placement.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "core/error.h"

namespace moesaic {
namespace {

// Load of the heaviest rank.
double heaviest(const std::vector<double>& load, std::int64_t ranks, const Slots& slots) {
  std::vector<double> of_rank(static_cast<std::size_t>(ranks), 0.0);
  const std::size_t local = load.size() / of_rank.size();
  for (std::size_t expert = 0; expert < load.size(); ++expert)
    of_rank[static_cast<std::size_t>(slots[expert]) / local] += load[expert];
  return *std::max_element(of_rank.begin(), of_rank.end());
}

TEST(Placement, PartsHotExperts) {
  const std::vector<double> load = {10, 10, 0, 0, 1, 1};
  EXPECT_EQ(heaviest(load, 2, slots_in_order(6)), 20);
  EXPECT_EQ(heaviest(load, 2, balanced_slots(load, 2, slots_in_order(6))), 11);
}

TEST(Placement, StaysWhereNothingIsGained) {
  const std::vector<double> even = {1, 1, 1, 1};
  EXPECT_EQ(balanced_slots(even, 2, {3, 0, 2, 1}), (Slots{3, 0, 2, 1}));
}

TEST(Placement, GivesEveryRankAsManyExpertsAndIsNeverWorse) {
  std::mt19937 draw(5);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t ranks = 1 + static_cast<std::int64_t>(draw() % 4);
    const std::int64_t experts = ranks * (1 + static_cast<std::int64_t>(draw() % 5));
    std::vector<double> load;
    for (std::int64_t e = 0; e < experts; ++e)
      load.push_back(draw() % 3 == 0 ? static_cast<double>(draw() % 100) : 1.0);
    const Slots slots = balanced_slots(load, ranks, slots_in_order(experts));
    EXPECT_EQ(std::set<std::int64_t>(slots.begin(), slots.end()).size(), slots.size());
    EXPECT_LE(heaviest(load, ranks, slots), heaviest(load, ranks, slots_in_order(experts)));
  }
}

TEST(ExpertPlacement, PlansFromTheLoadAndFromATableThatFits) {
  ExpertPlacement placement(1, 4, 2);
  placement.measure(at::tensor({8, 8, 1, 1}, at::kLong).unsqueeze(0));
  placement.plan();
  const Json planned = placement.table();
  const auto slots = planned[0].get<Slots>();
  EXPECT_NE(slots[0] / 2, slots[1] / 2);
  ExpertPlacement other(1, 4, 2);
  for (const Json& wrong : {Json(nullptr), Json::array({1}), Json::array({{0, 1, 2}}),
                            Json::array({{0, 0, 1, 2}}), Json::array({{0, "1", 2, 3}})}) {
    other.plan_from(wrong);
    EXPECT_EQ(other.table()[0].get<Slots>(), slots_in_order(4)) << wrong;
  }
  other.plan_from(planned);
  EXPECT_EQ(other.table(), planned);
}

TEST(ExpertPlacement, RefusesStateThatIsSpreadBeforeAnythingMoves) {
  ExpertPlacement placement(1, 4, 1);
  const at::Tensor whole = at::tensor({0, 1, 2, 3}, at::kFloat);
  const auto entry = [](const at::Tensor& tensor, bool spread) {
    return StateEntry{.name = "layers.0.experts",
                      .tensor = tensor,
                      .global_shape = {4},
                      .scope = Scope::kExpert,
                      .spread = spread};
  };
  placement.plan_from(Json::array({{3, 2, 1, 0}}));
  const Communicator alone = Communicator::single();
  EXPECT_THROW(
      placement.lie_as_planned({entry(whole, false), entry(whole.narrow(0, 0, 2), true)}, alone),
      Error);
  EXPECT_TRUE(at::equal(whole, at::tensor({0, 1, 2, 3}, at::kFloat)));
  placement.lie_as_planned({entry(whole, false)}, alone);
  EXPECT_TRUE(at::equal(whole, at::tensor({3, 2, 1, 0}, at::kFloat)));
}

}  // namespace
}  // namespace moesaic
