// The alphabet of byte-level tokenizers: each byte has a printable character (Radford et al. 2019,
// the encoder of GPT-2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moesaic::byte_alphabet {

/// Each byte of `bytes` as its character, in UTF-8.
std::string to_characters(std::string_view bytes);
/// The inverse; nullopt when a character is none of the alphabet. `characters` is valid UTF-8.
std::optional<std::string> to_bytes(std::string_view characters);

}  // namespace moesaic::byte_alphabet
