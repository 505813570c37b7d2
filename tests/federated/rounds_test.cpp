#include "federated/rounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace moesaic {
namespace {

using Silos = std::vector<std::size_t>;

TEST(DrawnSilos, AreAllWhereNoNumberIsGiven) {
  EXPECT_EQ(drawn_silos(1, 1, 3, std::nullopt), (Silos{0, 1, 2}));
  EXPECT_EQ(drawn_silos(1, 1, 3, 3), (Silos{0, 1, 2}));
}

TEST(DrawnSilos, AreOthersInEachRoundAndTheSameAgain) {
  std::set<Silos> found;
  std::vector<int> times(10);
  for (std::int64_t round = 1; round <= 2000; ++round) {
    const Silos drawn = drawn_silos(7, round, 10, 3);
    ASSERT_EQ(drawn, drawn_silos(7, round, 10, 3));
    ASSERT_EQ(std::set<std::size_t>(drawn.begin(), drawn.end()).size(), 3U);
    ASSERT_TRUE(std::is_sorted(drawn.begin(), drawn.end()));
    for (const std::size_t silo : drawn) ++times.at(silo);
    found.insert(drawn);
  }
  EXPECT_GT(found.size(), 100U);                               // of 120
  for (const int count : times) EXPECT_NEAR(count, 600, 100);  // 5 standard deviations
}

TEST(Turns, GiveEachSiloItsOwnSlotWhereThereAreAsMany) {
  const auto turns = turns_of({0, 2}, 3, 3);
  ASSERT_EQ(turns.size(), 1U);
  EXPECT_EQ(turns[0], (Turn{0, std::nullopt, 2}));
}

TEST(Turns, GoThroughTheSlotsOneAfterTheOther) {
  const auto turns = turns_of({1, 2, 4}, 2, 5);
  ASSERT_EQ(turns.size(), 2U);
  EXPECT_EQ(turns[0], (Turn{1, 2}));
  EXPECT_EQ(turns[1], (Turn{4, std::nullopt}));
}

}  // namespace
}  // namespace moesaic
