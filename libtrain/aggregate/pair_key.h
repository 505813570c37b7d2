// Keys that two silos share and the coordinator, who passes on their public parts, cannot find:
// X25519 and BLAKE2b of libsodium.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "core/secret_key.h"

namespace moesaic::aggregate {

using PublicKey = std::array<std::byte, 32>;

/// The key of one silo for one round. Its secret may be given away in shares (shamir.h), so it is
/// never used for a second round.
class PairKey {
 public:
  explicit PairKey(const SecretKey& secret);

  const SecretKey& secret() const { return secret_; }
  const PublicKey& public_key() const { return public_; }

  /// The key shared with the owner of `peer`, the same on both sides: keyed BLAKE2b of the X25519
  /// product with the two public keys and `label` (run and round). Error(kData) when `peer` is no
  /// key of a silo: a point of small order, or our own.
  SecretKey shared_with(const PublicKey& peer, std::string_view label) const;

 private:
  SecretKey secret_;
  PublicKey public_;
};

}  // namespace moesaic::aggregate
