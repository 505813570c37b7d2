// A secret from which draws are made that nobody else may predict: the generator is ChaCha20, by
// OpenSSL, and sub-keys are keyed BLAKE2b, by libsodium. The bytes are wiped when the key goes away; there
// is no way to print one, and none may be written to a file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace moesaic {

class SecretKey {
 public:
  static constexpr std::size_t kBytes = 32;

  /// A new key from the operating system. Throws Error(kDevice) when libsodium does not start.
  static SecretKey from_system();

  /// The key of a seed. For tests: whoever knows the seed knows every draw.
  static SecretKey from_seed(std::uint64_t seed);

  /// A key that another rank made.
  explicit SecretKey(std::span<const std::byte, kBytes> bytes);

  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();

  /// What makes the key, to be sent to other ranks and to nothing else.
  std::span<const std::byte, kBytes> bytes() const { return bytes_; }

  /// The sub-key of a label: keyed BLAKE2b-256 of it. Sub-keys tell nothing of each other or of
  /// this key.
  SecretKey derived(std::string_view label) const;

  /// The bytes of the ChaCha20 stream from its byte 64 `block` on, in the original form of the
  /// cipher: the words 12 and 13 of its state count blocks, 14 and 15 are `nonce`.
  void stream(std::uint64_t nonce, std::uint64_t block, std::span<std::byte> out) const;

 private:
  SecretKey();  // zeros

  std::array<std::byte, kBytes> bytes_;
};

}  // namespace moesaic
