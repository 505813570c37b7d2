#include "aggregate/secure_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "aggregate/shamir.h"
#include "core/error.h"
#include "core/format.h"

namespace moesaic::aggregate {
namespace {

bool same(const SecretKey& a, const SecretKey& b) {
  return std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin());
}

TEST(PairKey, BothSidesFindTheSameKeyAndNoOtherRoundDoes) {
  const PairKey a(SecretKey::from_seed(1)), b(SecretKey::from_seed(2));
  EXPECT_TRUE(same(a.shared_with(b.public_key(), "run 3"), b.shared_with(a.public_key(), "run 3")));
  EXPECT_FALSE(
      same(a.shared_with(b.public_key(), "run 3"), a.shared_with(b.public_key(), "run 4")));
  EXPECT_THROW(a.shared_with(PublicKey{}, "run 3"), Error);
  EXPECT_THROW(a.shared_with(a.public_key(), "run 3"), Error);
}

// RFC 7748, section 5.2: after one iteration of the base point as a scalar.
TEST(PairKey, IsX25519) {
  std::array<std::byte, 32> nine{};
  nine[0] = std::byte{9};
  const PublicKey found = PairKey(SecretKey(nine)).public_key();
  std::string digits;
  for (const std::byte byte : found) digits += format("{:02x}", std::to_integer<int>(byte));
  EXPECT_EQ(digits, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
}

TEST(Shamir, AnyThresholdOfTheSharesGiveTheSecret) {
  const SecretKey secret = SecretKey::from_seed(7);
  const std::vector<Share> shares = shares_of(secret, 5, 3, SecretKey::from_seed(8));
  for (std::size_t a = 0; a < 5; ++a)
    for (std::size_t b = 0; b < 5; ++b)
      for (std::size_t c = 0; c < 5; ++c) {
        if (a == b || b == c || a == c) continue;
        const std::vector<Share> some = {shares[a], shares[b], shares[c]};
        EXPECT_TRUE(same(secret_of(some, 3), secret));
      }
}

TEST(Shamir, RefusesTooFewDamagedAndDoubleShares) {
  std::vector<Share> shares = shares_of(SecretKey::from_seed(7), 3, 2, SecretKey::from_seed(8));
  EXPECT_THROW(secret_of(std::span(shares).first(1), 2), Error);
  const std::vector<Share> twice = {shares[0], shares[0]};
  EXPECT_THROW(secret_of(twice, 2), Error);
  shares[0].y[2] = ~std::uint64_t{0};
  EXPECT_THROW(secret_of(shares, 2), Error);
  EXPECT_THROW(shares_of(SecretKey::from_seed(7), 3, 4, SecretKey::from_seed(8)), Error);
}

// One share below the threshold fits every secret: two secrets with the same draws have shares that
// differ by their difference, so a share is uniform where the draws are.
TEST(Shamir, AShareIsUniform) {
  std::array<int, 16> counts{};
  for (std::uint64_t seed = 0; seed < 3200; ++seed) {
    const Share share = shares_of(SecretKey::from_seed(7), 2, 2, SecretKey::from_seed(seed))[0];
    ++counts[share.y[0] >> 57];
  }
  double chi = 0;
  for (const int count : counts) chi += (count - 200.0) * (count - 200.0) / 200.0;
  EXPECT_LT(chi, 45);  // 15 degrees of freedom: p below 1e-4
}

class SecureSum : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    for (std::size_t k = 0; k < 5; ++k) {
      const std::string name(1, static_cast<char>('a' + k));
      pairs_.emplace(name, PairKey(SecretKey::from_seed(10 + k)));
      seeds_.emplace(name, SecretKey::from_seed(20 + k));
      keys_[name] = pairs_.at(name).public_key();
      for (std::size_t i = 0; i < 3000; ++i)
        values_[name].push_back(std::sin(double(i + 1) * double(k + 1)) * 1.2);
    }
    format_.bits = GetParam();
  }
  std::vector<std::uint64_t> masked(const std::string& name) const {
    std::vector<std::uint64_t> words = quantised(format_, values_.at(name));
    mask_change(format_, name, pairs_.at(name), seeds_.at(name), keys_, "run 1", 4, words);
    return words;
  }

  SumFormat format_;
  std::map<std::string, PairKey> pairs_;
  std::map<std::string, SecretKey> seeds_;
  RoundKeys keys_;
  std::map<std::string, std::vector<double>> values_;
};

TEST_P(SecureSum, MaskedPieceByPieceIsMaskedWhole) {
  const auto mask = [&](std::span<std::uint64_t> words, std::uint64_t first) {
    mask_change(format_, "b", pairs_.at("b"), seeds_.at("b"), keys_, "run 1", 4, words, first);
  };
  std::vector<std::uint64_t> whole(3 * kMaskStep + 5, 1), pieces = whole;
  mask(whole, 0);
  mask(std::span(pieces).first(kMaskStep), 0);
  mask(std::span(pieces).subspan(kMaskStep), kMaskStep);
  EXPECT_EQ(whole, pieces);
}

TEST_P(SecureSum, IsThePlainSumWithEachNumberOfDropouts) {
  constexpr std::size_t kThreshold = 3;
  for (const std::string gone : {"", "c", "ae"}) {
    std::vector<std::uint64_t> sum(3000, 0), plain(3000, 0);
    RoundKeys stayed;
    for (const auto& [name, key] : keys_) {
      if (gone.find(name) != std::string::npos) continue;
      stayed[name] = key;
      add_in_ring(format_, masked(name), sum);
      add_in_ring(format_, quantised(format_, values_[name]), plain);
    }
    EXPECT_NE(sum, plain);
    for (const auto& [name, key] : stayed) add_mask(format_, seeds_.at(name), 4, true, sum);
    for (const char letter : gone) {
      const std::string name(1, letter);
      const auto shares = shares_of(pairs_.at(name).secret(), 5, kThreshold, seeds_.at(name));
      const PairKey found(secret_of(shares, kThreshold));
      remove_dropped(format_, name, found, stayed, "run 1", 4, sum);
    }
    EXPECT_EQ(sum, plain) << gone;
    const std::vector<double> values = dequantised(format_, sum);
    double expected = 0;
    for (const auto& [name, key] : stayed)
      expected += std::clamp(values_[name][17], -format_.clip, format_.clip);
    EXPECT_NEAR(values[17], expected, 5e-6);
  }
}

TEST_P(SecureSum, WhatTheCoordinatorSeesOfOneSiloIsUniform) {
  std::array<int, 16> counts{};
  for (const std::uint64_t word : masked("b")) ++counts[word >> (format_.bits - 4)];
  double chi = 0;
  for (const int count : counts) chi += (count - 187.5) * (count - 187.5) / 187.5;
  EXPECT_LT(chi, 45);
}

INSTANTIATE_TEST_SUITE_P(Rings, SecureSum, testing::Values(32, 64));

TEST(SecureSumFormat, RefusesSumsThatLeaveTheRingAndValuesThatAreNotFinite) {
  EXPECT_NO_THROW(require_room({.levels = 1 << 20}, 2047));
  EXPECT_THROW(require_room({.levels = 1 << 20}, 2048), Error);
  EXPECT_THROW(require_room({.bits = 16}, 2), Error);
  EXPECT_THROW(quantised({}, std::vector<double>{NAN}), Error);
}

}  // namespace
}  // namespace moesaic::aggregate
