// BLAKE2b-256 by libsodium: a digest that nobody can find other bytes for.
#pragma once

#include <string>
#include <string_view>

namespace moesaic {

/// 64 lower-case hexadecimal digits (as `b2sum -l 256` prints them).
std::string secure_digest_of(std::string_view bytes);

}  // namespace moesaic
