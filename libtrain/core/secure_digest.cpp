#include "core/secure_digest.h"

#include <sodium.h>

#include <array>

namespace moesaic {

std::string secure_digest_of(std::string_view bytes) {
  constexpr std::size_t kBytes = 32;
  std::array<unsigned char, kBytes> digest{};
  crypto_generichash(digest.data(), kBytes, reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size(), nullptr, 0);
  std::array<char, 2 * kBytes + 1> text{};
  sodium_bin2hex(text.data(), text.size(), digest.data(), kBytes);
  return text.data();
}

}  // namespace moesaic
