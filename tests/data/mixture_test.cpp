#include "data/mixture.h"

#include <map>
#include <set>

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;

std::vector<std::int64_t> epoch(const Mixture& mixture, std::int64_t size, std::int64_t number) {
  std::vector<std::int64_t> order;
  for (std::int64_t n = number * size; n < (number + 1) * size; ++n) {
    order.push_back(mixture.draw(n).sequence);
  }
  return order;
}

TEST(Mixture, OneSourceInOrderStartsAgainAfterEachEpoch) {
  const Mixture mixture({3}, {1.0}, {.shuffle = false});
  for (std::int64_t n = 0; n < 9; ++n) EXPECT_EQ(mixture.draw(n).sequence, n % 3);
}

TEST(Mixture, EveryShuffledEpochHasEachSequenceOnceInAnotherOrder) {
  constexpr std::int64_t kSize = 101;
  const Mixture mixture({kSize}, {2.0}, {.seed = 5, .shuffle = true});
  std::set<std::vector<std::int64_t>> orders;
  for (std::int64_t number = 0; number < 4; ++number) {
    const auto order = epoch(mixture, kSize, number);
    EXPECT_EQ(std::set(order.begin(), order.end()).size(), static_cast<std::size_t>(kSize));
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 4U);
}

TEST(Mixture, TheSeedDecidesTheOrder) {
  const auto order = [](std::uint64_t seed) {
    return epoch(Mixture({50}, {1.0}, {.seed = seed, .shuffle = true}), 50, 0);
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(Mixture, WeightsAreSharesOfEveryBlock) {
  for (const bool shuffle : {false, true}) {
    const Mixture mixture({10, 1000, 7}, {1.0, 2.0, 5.0}, {.seed = 3, .shuffle = shuffle});
    for (const std::int64_t block : {0, 1, 9}) {
      std::map<std::size_t, int> drawn;
      for (std::int64_t n = 0; n < Mixture::kBlock; ++n) {
        ++drawn[mixture.draw(block * Mixture::kBlock + n).source];
      }
      EXPECT_EQ(drawn[0], 512);
      EXPECT_EQ(drawn[1], 1024);
      EXPECT_EQ(drawn[2], 2560);
    }
  }
}

TEST(Mixture, UnevenSharesStillFillTheBlock) {
  const Mixture mixture({5, 5, 5}, {1.0, 1.0, 1.0}, {.shuffle = false});
  std::map<std::size_t, int> drawn;
  for (std::int64_t n = 0; n < Mixture::kBlock; ++n) ++drawn[mixture.draw(n).source];
  for (const auto& [source, count] : drawn) EXPECT_NEAR(count, 4096.0 / 3, 1) << source;
}

// 3 to 1: the middles of quarters 1, 2, 3 of a third lie at 1/6, 3/6, 5/6, that of the other at
// 1/2.
TEST(Mixture, UnshuffledSourcesAreEvenlySpread) {
  const Mixture mixture({100, 100}, {3.0, 1.0}, {.shuffle = false});
  std::vector<std::size_t> sources;
  for (std::int64_t n = 0; n < 8; ++n) sources.push_back(mixture.draw(n).source);
  EXPECT_EQ(sources, (std::vector<std::size_t>{0, 0, 1, 0, 0, 0, 1, 0}));
  for (std::int64_t start = 0; start < 8000; start += 40) {  // every stretch has its share
    int second = 0;
    for (std::int64_t n = start; n < start + 40; ++n) {
      second += static_cast<int>(mixture.draw(n).source);
    }
    EXPECT_EQ(second, 10) << start;
  }
}

TEST(Mixture, UnshuffledSourcesAreReadInOrderAcrossBlocks) {
  const Mixture mixture({100000, 3}, {1.0, 1.0}, {.shuffle = false});
  std::map<std::size_t, std::int64_t> next;
  for (std::int64_t n = 0; n < 3 * Mixture::kBlock; ++n) {
    const Draw drawn = mixture.draw(n);
    const std::int64_t size = drawn.source == 0 ? 100000 : 3;
    ASSERT_EQ(drawn.sequence, next[drawn.source]++ % size);
  }
}

TEST(Mixture, EveryEpochOfEachSourceHasEachSequenceOnce) {
  // 1024 and 3072 draws a block: three blocks are whole epochs of sources of 1024 and 4608.
  const Mixture mixture({1024, 4608}, {1.0, 3.0}, {.seed = 11, .shuffle = true});
  std::map<std::pair<std::size_t, std::int64_t>, int> drawn;
  for (std::int64_t n = 0; n < 3 * Mixture::kBlock; ++n) {
    const Draw d = mixture.draw(n);
    ++drawn[{d.source, d.sequence}];
  }
  EXPECT_EQ(drawn.size(), 1024U + 4608U);
  for (const auto& [which, count] : drawn) {
    ASSERT_EQ(count, which.first == 0 ? 3 : 2) << which.first << " " << which.second;
  }
}

TEST(Mixture, RefusesWeightsThatCannotBeKept) {
  const auto make = [](std::vector<double> weights) {
    return [weights] { Mixture({5, 5}, weights, {}); };
  };
  expect_error(ErrorKind::kRecipe, "data.train[1].weight is 0", make({1.0, 0.0}));
  expect_error(ErrorKind::kRecipe, "data.train[0].weight is -1", make({-1.0, 1.0}));
  expect_error(ErrorKind::kRecipe, "data.train[1].weight is nan", make({1.0, std::nan("")}));
  expect_error(ErrorKind::kRecipe, "data.train[0].weight is inf", make({HUGE_VAL, 1.0}));
  expect_error(ErrorKind::kRecipe, "data.train[1].weight is 1e-09", make({1.0, 1e-9}));
  expect_error(ErrorKind::kRecipe, "sum", make({1e308, 1e308}));
}

}  // namespace
}  // namespace moesaic
