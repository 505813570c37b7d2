// A secret in shares: any `threshold` of them give it back, fewer tell nothing (Shamir, "How to
// share a secret", 1979). Over the field of integers modulo the prime 2^61 - 1; a secret of 32
// bytes is five numbers below 2^56.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/secret_key.h"

namespace moesaic::aggregate {

struct Share {
  std::uint64_t x = 0;  // 1, 2, ...: whose share it is
  std::array<std::uint64_t, 5> y = {};
};

/// One share each for 1 ... `count`. `random` draws the coefficients and is used for nothing else.
/// Error(kRecipe) unless 1 <= threshold <= count.
std::vector<Share> shares_of(const SecretKey& secret, std::size_t count, std::size_t threshold,
                             const SecretKey& random);

/// The secret, from the first `threshold` shares. Error(kData) when there are fewer, one comes
/// twice, a number is not of the field, or they are not shares of one secret of 32 bytes.
SecretKey secret_of(std::span<const Share> shares, std::size_t threshold);

}  // namespace moesaic::aggregate
