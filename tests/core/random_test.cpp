#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
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

void expect_normal_and_apart(const RandomKey& a, const RandomKey& b, const RandomKey& c) {
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

TEST(RandomKey, NormalsHaveMeanZeroVarianceOneAndNoTwinsAcrossStreams) {
  expect_normal_and_apart(RandomKey(1, RandomStream::kInit, 0, "x"),
                          RandomKey(1, RandomStream::kJitter, 0, "x"),
                          RandomKey(1, RandomStream::kInit, 0, "y"));
  const SecretKey secret = SecretKey::from_seed(1);
  expect_normal_and_apart(RandomKey(secret, RandomStream::kNoise, 0, "x"),
                          RandomKey(secret, RandomStream::kJitter, 0, "x"),
                          RandomKey(secret, RandomStream::kNoise, 0, "y"));
}

TEST(RandomKey, PairsAreTheDrawsOfTheirElements) {
  for (const RandomKey& key : {RandomKey(9, RandomStream::kInit),
                               RandomKey(SecretKey::from_seed(9), RandomStream::kInit)}) {
    EXPECT_EQ(key.normal_pair(21)[0], key.normal(42));
    EXPECT_EQ(key.normal_pair(21)[1], key.normal(43));
  }
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
  const SecretKey secret = SecretKey::from_seed(11);
  for (const RandomKey& key : {RandomKey(11, RandomStream::kInit, 5, "model.embed_tokens.weight"),
                               RandomKey(secret, RandomStream::kNoise, 5, "model.norm.weight")}) {
    for (const std::uint64_t first : {0ULL, 1ULL, 2ULL, 5ULL, 127ULL, 128ULL, 0x1ffffffc3ULL}) {
      for (const std::size_t count : {0U, 1U, 2U, 3U, 17U, 127U, 128U, 129U, 511U, 1000U}) {
        expect_the_single_draws<float>(key, first, count);
        expect_the_single_draws<double>(key, first, count);
      }
    }
    expect_the_single_draws<double>(key, 12345, 2000000);
  }
}

// Any two draws that differ in one of (key, stream, step, name, element).
TEST(RandomKey, DrawsFromASecretDifferInEveryPartOfTheirName) {
  const SecretKey secret = SecretKey::from_seed(3);
  const std::vector<RandomKey> keys = {
      RandomKey(secret, RandomStream::kNoise, 0, ""),
      RandomKey(secret, RandomStream::kNoise, 0, "a"),
      RandomKey(secret, RandomStream::kNoise, 0, "b"),
      RandomKey(secret, RandomStream::kNoise, 1, "a"),
      RandomKey(secret, RandomStream::kNoise, 1ULL << 32U, "a"),
      RandomKey(secret, RandomStream::kSample, 0, "a"),
      RandomKey(SecretKey::from_seed(4), RandomStream::kNoise, 0, "a"),
      RandomKey(3, RandomStream::kNoise, 0, "a")};
  std::set<std::uint64_t> bits;
  for (const RandomKey& key : keys) {
    for (std::uint64_t element = 0; element < 1000; ++element) bits.insert(key.bits(element));
    for (unsigned power = 10; power < 64; ++power) bits.insert(key.bits(1ULL << power));
  }
  EXPECT_EQ(bits.size(), keys.size() * (1000 + 54));
}

TEST(RandomKey, DrawsFromASecretAreAFunctionOfTheirName) {
  const SecretKey secret = SecretKey::from_seed(3);
  const RandomKey key(secret, RandomStream::kNoise, 7, "a");
  const std::uint64_t later = key.bits(1000), first = key.bits(0);
  const RandomKey again(SecretKey(secret.bytes()), RandomStream::kNoise, 7, "a");
  EXPECT_EQ(again.bits(0), first);
  EXPECT_EQ(again.bits(1000), later);
  double sum = 0;
  for (std::uint64_t element = 0; element < 10000; ++element) {
    const double u = key.uniform(element);
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.01);
  std::vector<int> seen(100, 0);
  for (std::uint64_t i = 0; i < 100; ++i) ++seen.at(permuted(i, 100, key));
  for (const int count : seen) EXPECT_EQ(count, 1);
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

// Computed apart from this code, from the definition: BLAKE2b of Python's hashlib, ChaCha20 written
// out, and the transform of Box and Muller.
TEST(RandomKey, DrawsFromASeededSecretAreThoseOfTheDefinition) {
  const RandomKey key(SecretKey::from_seed(7), RandomStream::kNoise, 0, "lm_head.weight");
  EXPECT_EQ(key.bits(0), 0x86aa21ac24e0db85ULL);
  EXPECT_NEAR(key.normal(1000000007), 1.3293259400172368, 1e-14);
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
