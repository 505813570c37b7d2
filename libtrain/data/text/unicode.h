// Unicode text: UTF-8, the properties that tokenizers ask for, with that library's answers
// (character_data.h), and normal forms (utf8proc).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moesaic::unicode {

/// The character at `at`, which must be the first byte of one in valid UTF-8; `length` gets its
/// bytes.
char32_t decode(std::string_view text, std::size_t at, std::size_t& length);
void append(std::string& text, char32_t c);

/// Bytes of the character at `at` in valid UTF-8.
inline std::size_t length_at(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

bool is_ascii(std::string_view text);
/// Bytes of `text` up to the first that is not valid UTF-8.
std::size_t valid_prefix(std::string_view text);
/// Error(kData) that names `where` and the offset of the first byte that is not valid UTF-8.
void require_valid(std::string_view text, const std::string& where);
/// `text`, in which U+FFFD stands for each maximal part that is not valid UTF-8 (Unicode 15,
/// section 3.9, table 3-8).
std::string repaired(std::string_view text);

bool is_whitespace(char32_t c);       // the property White_Space
bool is_numeric(char32_t c);          // Nd, Nl, No
bool is_punctuation(char32_t c);      // P* of an old Unicode, and the ASCII signs $+<=>^`|~
bool is_mark(char32_t c);             // M*, likewise old
bool is_nonspacing_mark(char32_t c);  // Mn, likewise
bool is_control(char32_t c);          // Cc, Cf, Co, Cs, likewise
bool is_word(char32_t c);             // Alphabetic, M*, Nd, Pc, Join_Control: \w of UTS 18, annex C

enum class Form { kNfc, kNfd, kNfkc, kNfkd };
/// Characters that the normal forms of tokenizers do not know stay as they are.
std::string normalize(std::string_view text, Form form);

/// Each character by itself: no rule looks at its neighbours.
std::string lowercase(std::string_view text);
/// Letters that have one; of the characters whose upper case is several, sharp s alone.
std::string uppercase(std::string_view text);

/// Calls visit(character, its bytes) for each character.
template <class Visit>
void for_each(std::string_view text, const Visit& visit) {
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = decode(text, at, length);
    visit(c, text.substr(at, length));
  }
}

}  // namespace moesaic::unicode
