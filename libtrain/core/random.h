// Counter-based random numbers. A draw is a pure function of (seed, stream, step, name, element):
// nothing to save on a checkpoint, and no layout or recomputation changes a draw. From a seed the
// generator is Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011), which is fast and can be predicted; from a SecretKey it is ChaCha20, which cannot.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/secret_key.h"

namespace moesaic {

/// What a draw is for; draws of different streams are independent.
enum class RandomStream : std::uint32_t {
  kInit = 1,
  kShuffle = 2,
  kJitter = 4,
  kNoise = 5,
  kSample = 6,
  kDropout = 7
};

/// The raw generator: 128 random bits from a 64-bit key and a 128-bit counter.
std::array<std::uint32_t, 4> philox(std::uint64_t key, const std::array<std::uint32_t, 4>& counter);

/// Stable 64-bit hash of a name (FNV-1a), part of the key of a draw.
std::uint64_t hash_name(std::string_view name);

/// All draws of one (seed or key, stream, step, name); `element` is the global index within the
/// name.
class RandomKey {
 public:
  RandomKey(std::uint64_t seed, RandomStream stream, std::uint64_t step = 0,
            std::string_view name = "");
  RandomKey(const SecretKey& key, RandomStream stream, std::uint64_t step = 0,
            std::string_view name = "");

  std::uint64_t bits(std::uint64_t element) const;  // 64 uniform bits
  double uniform(std::uint64_t element) const;      // [0, 1)
  double normal(std::uint64_t element) const;       // mean 0, variance 1
  /// normal(2 pair) and normal(2 pair + 1): the two branches of one Box-Muller transform.
  std::array<double, 2> normal_pair(std::uint64_t pair) const;
  /// out[i] = scale * normal(first + i), rounded to the type of out: the same bits as one by one,
  /// on every processor, and many times faster.
  void normals(std::uint64_t first, double scale, std::span<float> out) const;
  void normals(std::uint64_t first, double scale, std::span<double> out) const;

 private:
  /// 128 bits: number `index` of those of that kind.
  std::array<std::uint32_t, 4> block(std::uint64_t index, std::uint32_t kind) const;

  std::uint64_t key_ = 0;            // of Philox
  std::uint32_t step_ = 0;           // of Philox
  std::optional<SecretKey> secret_;  // of ChaCha20, for this stream, step and name
};

/// The value at `index` of a seeded permutation of [0, size): computed, not replayed (a Feistel
/// network over the next power of four with cycle walking).
std::uint64_t permuted(std::uint64_t index, std::uint64_t size, const RandomKey& key);

}  // namespace moesaic
