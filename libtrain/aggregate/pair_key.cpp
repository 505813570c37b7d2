#include "aggregate/pair_key.h"

#include <sodium.h>

#include <algorithm>
#include <string>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

static_assert(SecretKey::kBytes == crypto_scalarmult_SCALARBYTES &&
              SecretKey::kBytes == crypto_scalarmult_BYTES &&
              sizeof(PublicKey) == crypto_scalarmult_BYTES);

unsigned char* octets(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* octets(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

void append_key(std::string& text, const PublicKey& key) {
  text.append(reinterpret_cast<const char*>(key.data()), key.size());
}

}  // namespace

PairKey::PairKey(const SecretKey& secret) : secret_(secret), public_{} {
  crypto_scalarmult_base(octets(public_.data()), octets(secret_.bytes().data()));
}

SecretKey PairKey::shared_with(const PublicKey& peer, std::string_view label) const {
  MOESAIC_CHECK(peer != public_, ErrorKind::kData,
                "a silo was given its own public key as a peer's");
  std::array<std::byte, SecretKey::kBytes> point{};
  const int failed =
      crypto_scalarmult(octets(point.data()), octets(secret_.bytes().data()), octets(peer.data()));
  MOESAIC_CHECK(failed == 0, ErrorKind::kData, "a public key of a silo is a point of small order");
  const SecretKey product{std::span<const std::byte, SecretKey::kBytes>(point)};
  sodium_memzero(point.data(), point.size());
  std::string text("moesaic pair ");
  append_key(text, std::min(public_, peer));
  append_key(text, std::max(public_, peer));
  text.append(label);
  return product.derived(text);
}

}  // namespace moesaic::aggregate
