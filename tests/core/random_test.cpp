#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
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

// The fill is compiled for several kinds of processor, the single draws for the simplest: equal
// bits here mean that this processor's loops give what any other gives.
template <class T>
void expect_the_single_draws(const RandomKey& key, std::uint64_t first, std::size_t count) {
  constexpr double kScale = 0.02;
  std::vector<T> filled(count + 1, T(7));
  key.normals(first, kScale, std::span(filled).first(count));
  EXPECT_EQ(filled.back(), T(7)) << "written past the end, first " << first << " count " << count;
  std::size_t different = 0;
  for (std::size_t i = 0; i < count; ++i)
    different += filled[i] != static_cast<T>(kScale * key.normal(first + i));
  EXPECT_EQ(different, 0U) << "first " << first << " count " << count;
}

TEST(RandomKey, AFillHasTheBitsOfTheSingleDrawsWhereverItBegins) {
  const RandomKey key(11, RandomStream::kInit, 5, "model.embed_tokens.weight");
  for (const std::uint64_t first : {0ULL, 1ULL, 2ULL, 127ULL, 128ULL, 0x1ffffffc3ULL}) {
    for (const std::size_t count : {0U, 1U, 2U, 3U, 17U, 127U, 128U, 129U, 1000U}) {
      expect_the_single_draws<float>(key, first, count);
      expect_the_single_draws<double>(key, first, count);
    }
  }
  expect_the_single_draws<double>(key, 12345, 2000000);
}

// Made by this code on x86-64; log1p, sin and cos of glibc agree but for the last bit of the
// double.
TEST(RandomKey, NormalsHaveTheBitsThatTheyAlwaysHad) {
  const RandomKey key(7, RandomStream::kInit, 0, "lm_head.weight");
  EXPECT_EQ(key.normal(0), -0x1.9a0837b00e101p-1);
  EXPECT_EQ(key.normal(1), 0x1.b8579faa1c302p+0);
  EXPECT_EQ(key.normal(1000000007), 0x1.729e4ee0eb6e9p+0);
  EXPECT_EQ(key.normal(1000000008), -0x1.4e554579ee883p+1);
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
