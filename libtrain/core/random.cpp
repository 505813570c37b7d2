#include "core/random.h"

#include <cmath>
#include <numbers>

namespace moesaic {
namespace {

std::uint64_t mix(std::uint64_t x) {  // finaliser of SplitMix64
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32U); }

double to_unit(std::uint64_t bits) { return static_cast<double>(bits >> 11U) * 0x1.0p-53; }

}  // namespace

std::array<std::uint32_t, 4> philox(std::uint64_t key,
                                    const std::array<std::uint32_t, 4>& counter) {
  auto c = counter;
  std::uint32_t k0 = low(key), k1 = high(key);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * c[2];
    c = {high(p1) ^ c[1] ^ k0, low(p1), high(p0) ^ c[3] ^ k1, low(p0)};
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return c;
}

std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

RandomKey::RandomKey(std::uint64_t seed, RandomStream stream, std::uint64_t step,
                     std::string_view name)
    : key_(mix(mix(mix(seed) + static_cast<std::uint64_t>(stream)) + hash_name(name)) ^ high(step)),
      step_(low(step)) {}

std::uint64_t RandomKey::bits(std::uint64_t element) const {
  const auto word = philox(key_, {low(element), high(element), step_, 0});
  return (std::uint64_t{word[1]} << 32U) | word[0];
}

double RandomKey::uniform(std::uint64_t element) const { return to_unit(bits(element)); }

double RandomKey::normal(std::uint64_t element) const {
  return normal_pair(element / 2)[element % 2];
}

std::array<double, 2> RandomKey::normal_pair(std::uint64_t pair) const {
  const auto word = philox(key_, {low(pair), high(pair), step_, 1});
  const double u = to_unit((std::uint64_t{word[1]} << 32U) | word[0]);
  const double v = to_unit((std::uint64_t{word[3]} << 32U) | word[2]);
  const double radius = std::sqrt(-2.0 * std::log1p(-u)), angle = 2.0 * std::numbers::pi * v;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

std::uint64_t permuted(std::uint64_t index, std::uint64_t size, const RandomKey& key) {
  if (size <= 1) return 0;
  unsigned half = 1;  // bits of each half of the Feistel block
  while ((std::uint64_t{1} << (2 * half)) < size) ++half;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  do {  // a permutation of the power of four: walk until it lands inside
    std::uint64_t left = index >> half, right = index & mask;
    for (std::uint64_t round = 0; round < 6; ++round) {
      const std::uint64_t next = left ^ (key.bits((round << 56U) ^ right) & mask);
      left = right;
      right = next;
    }
    index = (left << half) | right;
  } while (index >= size);
  return index;
}

}  // namespace moesaic
