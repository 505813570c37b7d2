// Sums of which only the sum can be seen (Bonawitz et al., "Practical secure aggregation", CCS
// 2017). Each silo quantises its values to integers of a ring and adds masks: one of its own, and
// one with each other silo, which the first of the two by name adds and the other takes away. In
// the sum the masks of pairs cancel. Of a silo that dropped out after the keys were agreed, the
// others' shares give its PairKey, and so the masks that were left; of one that stayed, they give
// the seed of its own mask, and never both. One masked vector alone is uniform over the ring.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "aggregate/pair_key.h"
#include "core/secret_key.h"

namespace moesaic::aggregate {

/// Integers modulo 2^bits, 32 or 64; a value v becomes round(min(max(v, -clip), clip) / clip x
/// levels), ties to even.
struct SumFormat {
  int bits = 32;
  double clip = 1.0;
  std::int64_t levels = std::int64_t{1} << 20;
};

/// Error(kRecipe) when the sum of so many silos could leave the ring.
void require_room(const SumFormat& format, std::size_t silos);

/// Error(kData) when a value is not finite.
std::vector<std::uint64_t> quantised(const SumFormat& format, std::span<const double> values);
/// The values of a sum.
std::vector<double> dequantised(const SumFormat& format, std::span<const std::uint64_t> sum);

/// sum += values, in the ring.
void add_in_ring(const SumFormat& format, std::span<const std::uint64_t> values,
                 std::span<std::uint64_t> sum);

/// The functions below work on the values of a parameter, the `nonce`-th of the change, from number
/// `first` on, a multiple of kMaskStep: a parameter may be masked piece by piece.
inline constexpr std::uint64_t kMaskStep = 4096;

/// Adds the mask of `key` (or takes it away): the words of the ChaCha20 stream, all values of the
/// ring alike.
void add_mask(const SumFormat& format, const SecretKey& key, std::uint64_t nonce, bool take_away,
              std::span<std::uint64_t> values, std::uint64_t first = 0);

/// The public keys of the silos of a round, by name.
using RoundKeys = std::map<std::string, PublicKey>;

/// Adds all masks of silo `name`: its own, of `self_seed`, and those with each other of `keys`.
/// `label` names run and round.
void mask_change(const SumFormat& format, const std::string& name, const PairKey& key,
                 const SecretKey& self_seed, const RoundKeys& keys, const std::string& label,
                 std::uint64_t nonce, std::span<std::uint64_t> values, std::uint64_t first = 0);

/// Takes from a sum over `stayed` the masks that silo `dropped`, whose key was found from shares,
/// would have cancelled.
void remove_dropped(const SumFormat& format, const std::string& dropped, const PairKey& key,
                    const RoundKeys& stayed, const std::string& label, std::uint64_t nonce,
                    std::span<std::uint64_t> sum, std::uint64_t first = 0);

}  // namespace moesaic::aggregate
