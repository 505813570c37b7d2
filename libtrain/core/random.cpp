#include "core/random.h"

#include <algorithm>
#include <bit>
#include <string>

#include "core/box_muller.h"

namespace moesaic {
namespace {

std::uint64_t mix(std::uint64_t x) {  // finaliser of SplitMix64
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32U); }

using Block = std::array<std::uint32_t, 4>;

MOESAIC_INLINE Block philox_block(std::uint32_t k0, std::uint32_t k1, Block c) {
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * c[2];
    c = {high(p1) ^ c[1] ^ k0, low(p1), high(p0) ^ c[3] ^ k1, low(p0)};
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return c;
}

// Kinds of blocks: the last word of Philox's counter, the nonce of ChaCha20.
constexpr std::uint32_t kUniformBlock = 0, kNormalBlock = 1;

/// The normals of `count` pairs, from the pair `first` on. One loop for the bits and one for the
/// transform: vectors of 32-bit words, then of doubles.
template <class T>
MOESAIC_INLINE void fill_pairs(std::uint64_t key, std::uint32_t step, std::uint64_t first,
                               std::size_t count, double scale, T* out) {
  constexpr std::size_t kTile = 64;
  std::uint32_t words[4][kTile];
  const std::uint32_t k0 = low(key), k1 = high(key);
  for (std::size_t start = 0; start < count; start += kTile) {
    const std::uint64_t base = first + start;
    for (std::size_t i = 0; i < kTile; ++i) {
      const auto block = philox_block(k0, k1, {low(base + i), high(base + i), step, kNormalBlock});
      for (std::size_t w = 0; w < 4; ++w) words[w][i] = block[w];
    }
    T* const tile = out + 2 * start;
    const std::size_t size = std::min(kTile, count - start);
    for (std::size_t i = 0; i < size; ++i) {
      const NormalPair pair = box_muller(words[0][i], words[1][i], words[2][i], words[3][i]);
      tile[2 * i] = static_cast<T>(scale * pair.even);
      tile[2 * i + 1] = static_cast<T>(scale * pair.odd);
    }
  }
}

MOESAIC_SIMD void fill_float(std::uint64_t key, std::uint32_t step, std::uint64_t first,
                             std::size_t count, double scale, float* out) {
  fill_pairs(key, step, first, count, scale, out);
}

MOESAIC_SIMD void fill_double(std::uint64_t key, std::uint32_t step, std::uint64_t first,
                              std::size_t count, double scale, double* out) {
  fill_pairs(key, step, first, count, scale, out);
}

// ChaCha20: `words` are those of its stream, four for a pair, one pair after the other.
static_assert(std::endian::native == std::endian::little);

template <class T>
MOESAIC_INLINE void transform_pairs(const std::uint32_t (*words)[4], std::size_t count,
                                    double scale, T* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const NormalPair pair = box_muller(words[i][0], words[i][1], words[i][2], words[i][3]);
    out[2 * i] = static_cast<T>(scale * pair.even);
    out[2 * i + 1] = static_cast<T>(scale * pair.odd);
  }
}

MOESAIC_SIMD void transform_float(const std::uint32_t (*words)[4], std::size_t count, double scale,
                                  float* out) {
  transform_pairs(words, count, scale, out);
}

MOESAIC_SIMD void transform_double(const std::uint32_t (*words)[4], std::size_t count, double scale,
                                   double* out) {
  transform_pairs(words, count, scale, out);
}

constexpr std::size_t kPairsInBlock = 4;  // 64 bytes of stream, 16 a pair

template <class T, class Transform>
void fill_secret(const SecretKey& key, std::uint64_t first, std::size_t count, double scale, T* out,
                 const Transform& transform) {
  constexpr std::size_t kTile = 1024;  // 16 KiB of stream
  std::uint32_t words[kTile][4];
  while (count > 0) {
    const std::size_t skip = first % kPairsInBlock, size = std::min(kTile - skip, count);
    key.stream(kNormalBlock, first / kPairsInBlock,
               std::as_writable_bytes(std::span(words).first(skip + size)));
    transform(words + skip, size, scale, out);
    first += size, count -= size, out += 2 * size;
  }
}

// What a sub-key is named by: numbers of fixed width, so that no two draws share a label.
std::string label_of(RandomStream stream, std::uint64_t step, std::string_view name) {
  std::string label = "moesaic draw";
  for (const std::uint64_t number : {static_cast<std::uint64_t>(stream), step}) {
    for (unsigned byte = 0; byte < 8; ++byte) label += static_cast<char>(number >> (8 * byte));
  }
  return label.append(name);
}

/// Cuts a range into its whole pairs and what an odd bound leaves over.
template <class T, class FillPairs>
void fill_range(const RandomKey& key, std::uint64_t first, double scale, std::span<T> out,
                const FillPairs& fill) {
  if (out.empty()) return;
  if (first % 2 == 1) {
    out[0] = static_cast<T>(scale * key.normal(first));
    ++first;
    out = out.subspan(1);
  }
  fill(first / 2, out.size() / 2, out.data());
  if (out.size() % 2 == 1) out.back() = static_cast<T>(scale * key.normal(first + out.size() - 1));
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::uint64_t key,
                                    const std::array<std::uint32_t, 4>& counter) {
  return philox_block(low(key), high(key), counter);
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

RandomKey::RandomKey(const SecretKey& key, RandomStream stream, std::uint64_t step,
                     std::string_view name)
    : secret_(key.derived(label_of(stream, step, name))) {}

std::array<std::uint32_t, 4> RandomKey::block(std::uint64_t index, std::uint32_t kind) const {
  if (!secret_) return philox(key_, {low(index), high(index), step_, kind});
  std::array<std::uint32_t, 4> blocks[kPairsInBlock];
  secret_->stream(kind, index / kPairsInBlock, std::as_writable_bytes(std::span(blocks)));
  return blocks[index % kPairsInBlock];
}

std::uint64_t RandomKey::bits(std::uint64_t element) const {
  const auto word = block(element, kUniformBlock);
  return (std::uint64_t{word[1]} << 32U) | word[0];
}

double RandomKey::uniform(std::uint64_t element) const {
  const std::uint64_t word = bits(element);
  return unit_interval(high(word), low(word));
}

double RandomKey::normal(std::uint64_t element) const {
  return normal_pair(element / 2)[element % 2];
}

std::array<double, 2> RandomKey::normal_pair(std::uint64_t pair) const {
  const auto word = block(pair, kNormalBlock);
  const NormalPair values = box_muller(word[0], word[1], word[2], word[3]);
  return {values.even, values.odd};
}

void RandomKey::normals(std::uint64_t first, double scale, std::span<float> out) const {
  fill_range(*this, first, scale, out, [this, scale](auto pair, auto count, float* data) {
    if (secret_) return fill_secret(*secret_, pair, count, scale, data, transform_float);
    fill_float(key_, step_, pair, count, scale, data);
  });
}

void RandomKey::normals(std::uint64_t first, double scale, std::span<double> out) const {
  fill_range(*this, first, scale, out, [this, scale](auto pair, auto count, double* data) {
    if (secret_) return fill_secret(*secret_, pair, count, scale, data, transform_double);
    fill_double(key_, step_, pair, count, scale, data);
  });
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
