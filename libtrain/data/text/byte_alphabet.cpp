#include "data/text/byte_alphabet.h"

#include "data/text/unicode.h"

namespace moesaic::byte_alphabet {
namespace {

bool shows_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// Bytes that do not print follow each other from U+0100 on: 0 to 32, 127 to 160, 173.
char32_t character_of(unsigned byte) {
  if (shows_itself(byte)) return byte;
  if (byte <= 0x20) return 0x100 + byte;
  return byte == 0xAD ? 0x100 + 67 : 0x100 + 33 + (byte - 0x7F);
}

std::optional<unsigned> byte_of(char32_t c) {
  if (c < 0x100) return shows_itself(c) ? std::optional<unsigned>(c) : std::nullopt;
  const char32_t place = c - 0x100;
  if (place <= 0x20) return place;
  if (place < 67) return 0x7F + (place - 33);
  return place == 67 ? std::optional<unsigned>(0xAD) : std::nullopt;
}

}  // namespace

std::string to_characters(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) unicode::append(out, character_of(static_cast<unsigned char>(c)));
  return out;
}

std::optional<std::string> to_bytes(std::string_view characters) {
  std::string out;
  bool known = true;
  unicode::for_each(characters, [&](char32_t c, std::string_view) {
    const auto byte = byte_of(c);
    known = known && byte.has_value();
    out.push_back(static_cast<char>(byte.value_or(0)));
  });
  return known ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace moesaic::byte_alphabet
