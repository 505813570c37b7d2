#include "core/secret_key.h"

#include <sodium.h>

#include <algorithm>

#include "core/error.h"

namespace moesaic {
namespace {

static_assert(SecretKey::kBytes == crypto_stream_chacha20_KEYBYTES &&
              SecretKey::kBytes == crypto_generichash_KEYBYTES &&
              SecretKey::kBytes == crypto_generichash_BYTES);

unsigned char* chars(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* chars(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

std::array<unsigned char, 8> little_endian(std::uint64_t value) {
  std::array<unsigned char, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<unsigned char>(value >> (8 * i));
  return bytes;
}

// Chooses libsodium's loops for this processor; before it, nothing of it is safe across threads.
void start_libsodium() {
  static const bool started = sodium_init() >= 0;
  if (!started) {
    throw Error(ErrorKind::kDevice, "libsodium does not start",
                "the operating system gives no random numbers: look at /dev/urandom");
  }
}

}  // namespace

SecretKey::SecretKey() : bytes_{} { start_libsodium(); }

SecretKey::SecretKey(std::span<const std::byte, kBytes> bytes) : SecretKey() {
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

SecretKey::~SecretKey() { sodium_memzero(bytes_.data(), bytes_.size()); }

SecretKey SecretKey::from_system() {
  SecretKey key;
  randombytes_buf(key.bytes_.data(), key.bytes_.size());
  return key;
}

SecretKey SecretKey::from_seed(std::uint64_t seed) {
  const auto word = little_endian(seed);
  SecretKey key;
  crypto_generichash(chars(key.bytes_.data()), kBytes, word.data(), word.size(), nullptr, 0);
  return key;
}

SecretKey SecretKey::derived(std::string_view label) const {
  SecretKey key;
  crypto_generichash(chars(key.bytes_.data()), kBytes,
                     reinterpret_cast<const unsigned char*>(label.data()), label.size(),
                     chars(bytes_.data()), kBytes);
  return key;
}

void SecretKey::stream(std::uint64_t nonce, std::uint64_t block, std::span<std::byte> out) const {
  if (out.empty()) return;
  const auto word = little_endian(nonce);
  std::fill(out.begin(), out.end(), std::byte{0});
  crypto_stream_chacha20_xor_ic(chars(out.data()), chars(out.data()), out.size(), word.data(),
                                block, chars(bytes_.data()));
}

}  // namespace moesaic
