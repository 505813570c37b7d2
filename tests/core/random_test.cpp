#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace moesaic {
namespace {

// Known answers of philox4x32-10 as published with Random123 (kat_vectors).
TEST(Philox, GivesThePublishedVectors) {
  EXPECT_EQ(philox(0, {0, 0, 0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(0xffffffffffffffffULL, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(RandomKey, NormalsHaveMeanZeroVarianceOneAndNoTwinsAcrossStreams) {
  const RandomKey a(1, RandomStream::kInit, 0, "x"), b(1, RandomStream::kDropout, 0, "x"),
      c(1, RandomStream::kInit, 0, "y");
  double sum = 0, squares = 0, fourth = 0, cross = 0;
  constexpr int kDraws = 200000;
  for (int i = 0; i < kDraws; ++i) {
    const auto e = static_cast<std::uint64_t>(i);
    const double x = a.normal(e);
    sum += x, squares += x * x, fourth += x * x * x * x;
    cross += x * b.normal(e) + x * c.normal(e);
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.01);
  EXPECT_NEAR(squares / kDraws, 1, 0.02);
  EXPECT_NEAR(fourth / kDraws, 3, 0.15);
  EXPECT_NEAR(cross / kDraws, 0, 0.02);
}

TEST(RandomKey, PairsAreTheDrawsOfTheirElements) {
  const RandomKey key(9, RandomStream::kInit);
  EXPECT_EQ(key.normal_pair(21)[0], key.normal(42));
  EXPECT_EQ(key.normal_pair(21)[1], key.normal(43));
}

TEST(Permuted, IsAPermutationForAwkwardSizesAndChangesWithTheKey) {
  for (const std::uint64_t size : {1, 2, 3, 5, 63, 64, 65, 1000}) {
    std::vector<int> seen(size, 0);
    for (std::uint64_t i = 0; i < size; ++i)
      ++seen.at(permuted(i, size, RandomKey(3, RandomStream::kShuffle, 1)));
    for (const int count : seen) EXPECT_EQ(count, 1) << size;
  }
  int same = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    same += permuted(i, 1000, RandomKey(3, RandomStream::kShuffle, 1)) ==
            permuted(i, 1000, RandomKey(3, RandomStream::kShuffle, 2));
  }
  EXPECT_LT(same, 20);
}

}  // namespace
}  // namespace moesaic
