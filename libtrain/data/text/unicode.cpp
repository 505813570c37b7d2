#include "data/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/file_kind.h"
#include "data/text/character_data.h"
#include "data/text/character_map.h"
#include "data/text/character_properties.h"

namespace moesaic::unicode {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

unsigned byte(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// Bits of a byte.
enum Property {
  kNumeric,
  kPunctuation,
  kMark,
  kNonspacingMark,
  kControl,
  kComposing,
  kWord,
  kCapital
};

const auto& capitals() {
  static const std::vector<std::pair<char32_t, char32_t>> kCapitals = capital_letters();
  return kCapitals;
}

CharacterMap make_properties() {
  std::vector<CharacterSet> sets;
  for (const std::string_view text :
       {character_data::kNumeric, character_data::kPunctuation, character_data::kMark,
        character_data::kNonspacingMark, character_data::kControl, character_data::kComposing})
    sets.push_back(CharacterSet::read(text));
  sets.push_back(*posix_set("word") | CharacterSet({{0x200C, 0x200E}}));
  std::vector<CharacterSet::Run> capital;
  for (const auto& [large, small] : capitals()) capital.push_back({large, large + 1});
  sets.emplace_back(std::move(capital));
  return {sets, [](const Membership& in) {
            unsigned bits = 0;
            for (std::size_t i = 0; i < in.size(); ++i) bits |= unsigned{in[i]} << i;
            return static_cast<std::uint8_t>(bits);
          }};
}

bool has(char32_t c, Property property) {
  static const CharacterMap kProperties = make_properties();
  return (kProperties[c] >> property & 1) != 0;
}

// Bytes of the character that begins with `lead`, 0 where none does.
std::size_t length_of(unsigned lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

// Whether `next` may follow `lead` as second byte: no overlong forms, surrogates, or values beyond
// U+10FFFF.
bool may_follow(unsigned lead, unsigned next) {
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return next >= low && next <= high;
}

// Bytes at `at` that are, or begin like, one character; `whole` says which.
std::size_t well_formed(std::string_view text, std::size_t at, bool& whole) {
  const unsigned lead = byte(text, at);
  const std::size_t length = length_of(lead);
  std::size_t n = length == 0 ? 0 : 1;
  while (n != 0 && n < length && at + n < text.size()) {
    const unsigned next = byte(text, at + n);
    if (n == 1 ? !may_follow(lead, next) : (next & 0xC0U) != 0x80) break;
    ++n;
  }
  whole = n == length && n != 0;
  return n;
}

}  // namespace

char32_t decode(std::string_view text, std::size_t at, std::size_t& length) {
  const unsigned lead = byte(text, at);
  if (lead < 0x80) {
    length = 1;
    return lead;
  }
  length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  MOESAIC_ASSERT(at + length <= text.size());
  char32_t c = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) c = c << 6 | (byte(text, at + i) & 0x3FU);
  return c;
}

void append(std::string& text, char32_t c) {
  const auto put = [&text](char32_t value) { text.push_back(static_cast<char>(value)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

bool is_ascii(std::string_view text) {
  unsigned all = 0;  // a loop without an early end becomes vectors
  for (const char c : text) all |= static_cast<unsigned char>(c);
  return all < 0x80;
}

std::size_t valid_prefix(std::string_view text) {
  bool whole = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = well_formed(text, at, whole);
    if (!whole) return at;
    at += n;
  }
  return text.size();
}

void require_valid(std::string_view text, const std::string& where) {
  const std::size_t at = valid_prefix(text);
  if (at == text.size()) return;
  const auto kind = file_kind(text);
  throw Error(
      ErrorKind::kData,
      format("{}: the byte {:#04x} at offset {} is not valid UTF-8", where, byte(text, at), at),
      kind ? format("it is {}: {}", kind->name, kind->remedy)
           : "write it as UTF-8, for instance: iconv -f WINDOWS-1252 -t UTF-8 FILE");
}

std::string repaired(std::string_view text) {
  std::string out;
  bool whole = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = well_formed(text, at, whole);
    out += whole ? text.substr(at, n) : kReplacement;
    at += std::max<std::size_t>(n, 1);
  }
  return out;
}

bool is_whitespace(char32_t c) {
  if (c < 0x1680) return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool is_numeric(char32_t c) { return has(c, kNumeric); }
bool is_punctuation(char32_t c) { return has(c, kPunctuation); }
bool is_mark(char32_t c) { return has(c, kMark); }
bool is_nonspacing_mark(char32_t c) { return has(c, kNonspacingMark); }
bool is_control(char32_t c) { return has(c, kControl); }
bool is_word(char32_t c) { return has(c, kWord); }

namespace {

void append_normalized(std::string& out, std::string_view text, Form form) {
  if (is_ascii(text)) {
    out += text;
    return;
  }
  int options = UTF8PROC_STABLE;
  options |= form == Form::kNfc || form == Form::kNfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == Form::kNfkc || form == Form::kNfkd) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* normal = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &normal,
                                             static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(normal, &std::free);
  MOESAIC_CHECK(size >= 0, ErrorKind::kData, "text of {} bytes cannot be normalised: {}",
                text.size(), utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(normal), static_cast<std::size_t>(size));
}

}  // namespace

// A character that no form changes, moves or joins ends a stretch that can be normalised alone.
std::string normalize(std::string_view text, Form form) {
  if (is_ascii(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  std::size_t begin = 0;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    if (has(decode(text, at, length), kComposing)) continue;
    append_normalized(out, text.substr(begin, at - begin), form);
    out += text.substr(at, length);
    begin = at + length;
  }
  append_normalized(out, text.substr(begin), form);
  return out;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each(text, [&out](char32_t c, std::string_view bytes) {
    if (c == 0x130) {  // the one character whose lower case is two
      out += "i\xCC\x87";
    } else if (c < 0x80) {
      out.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
    } else if (!has(c, kCapital)) {
      out += bytes;
    } else {
      append(
          out,
          std::lower_bound(capitals().begin(), capitals().end(), std::pair(c, char32_t{}))->second);
    }
  });
  return out;
}

std::string uppercase(std::string_view text) {
  std::string out;
  for_each(text, [&out](char32_t c, std::string_view) {
    if (c == 0xDF) {
      out += "SS";
      return;
    }
    append(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  });
  return out;
}

}  // namespace moesaic::unicode
