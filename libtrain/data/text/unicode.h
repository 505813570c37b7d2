// Unicode text: UTF-8, the properties that tokenizers ask for, and normal forms (utf8proc).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moesaic::unicode {

/// The character at `at`, which must be the first byte of one in valid UTF-8; `length` gets its
/// bytes.
char32_t decode(std::string_view text, std::size_t at, std::size_t& length);
void append(std::string& text, char32_t c);

/// Bytes of `text` up to the first that is not valid UTF-8.
std::size_t valid_prefix(std::string_view text);
/// Error(kData) that names `where` and the offset of the first byte that is not valid UTF-8.
void require_valid(std::string_view text, const std::string& where);
/// `text`, in which U+FFFD stands for each maximal part that is not valid UTF-8 (Unicode 15,
/// section 3.9, table 3-8).
std::string repaired(std::string_view text);

bool is_whitespace(char32_t c);       // the property White_Space
bool is_numeric(char32_t c);          // Nd, Nl, No
bool is_punctuation(char32_t c);      // P*, and the ASCII signs $+<=>^`|~
bool is_mark(char32_t c);             // M*
bool is_nonspacing_mark(char32_t c);  // Mn
bool is_control(char32_t c);          // Cc, Cf, Co, Cs
bool is_word(char32_t c);             // Alphabetic, M*, Nd, Pc, Join_Control: \w of UTS 18, annex C

enum class Form { kNfc, kNfd, kNfkc, kNfkd };
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
