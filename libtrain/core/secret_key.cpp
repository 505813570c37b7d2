#include "core/secret_key.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <memory>

#include "core/error.h"

namespace moesaic {
namespace {

static_assert(SecretKey::kBytes == crypto_generichash_KEYBYTES &&
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

constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // bytes; lengths are ints there

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

void require(bool done) {
  if (!done) throw Error(ErrorKind::kDevice, "OpenSSL's ChaCha20 does not work");
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
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20", nullptr);
  const std::unique_ptr<EVP_CIPHER_CTX, FreeCipher> context(EVP_CIPHER_CTX_new());
  std::array<unsigned char, 16> start{};  // words 12 to 15 of the state
  std::ranges::copy(little_endian(block), start.begin());
  std::ranges::copy(little_endian(nonce), start.begin() + 8);
  require(cipher != nullptr && context != nullptr &&
          EVP_EncryptInit_ex2(context.get(), cipher, chars(bytes_.data()), start.data(), nullptr) == 1);
  std::fill(out.begin(), out.end(), std::byte{0});
  for (int size = 0; !out.empty(); out = out.subspan(static_cast<std::size_t>(size))) {
    size = static_cast<int>(std::min<std::size_t>(out.size(), kMostAtOnce));
    require(EVP_EncryptUpdate(context.get(), chars(out.data()), &size, chars(out.data()), size) == 1);
  }
}

}  // namespace moesaic
