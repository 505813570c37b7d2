#include "data/text/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "core/error.h"
#include "core/file_kind.h"

namespace moesaic::unicode {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

unsigned byte(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
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
  if ((c >= 0x09 && c <= 0x0D) || c == 0x85) return true;
  const utf8proc_category_t kind = category(c);
  return kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
         kind == UTF8PROC_CATEGORY_ZP;
}

bool is_numeric(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(char32_t c) {
  if (is_ascii_punctuation(c)) return true;
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool is_mark(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC ||
         kind == UTF8PROC_CATEGORY_ME;
}

bool is_nonspacing_mark(char32_t c) { return category(c) == UTF8PROC_CATEGORY_MN; }

bool is_control(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF ||
         kind == UTF8PROC_CATEGORY_CO || kind == UTF8PROC_CATEGORY_CS;
}

bool is_word(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      // Other_Alphabetic among the symbols: circled and squared letters.
      return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
             (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
             (c >= 0x1F170 && c <= 0x1F189);
  }
}

std::string normalize(std::string_view text, Form form) {
  int options = UTF8PROC_STABLE;
  options |= form == Form::kNfc || form == Form::kNfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == Form::kNfkc || form == Form::kNfkd) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* out = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &out,
                                             static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(out, &std::free);
  MOESAIC_CHECK(size >= 0, ErrorKind::kData, "text of {} bytes cannot be normalised: {}",
                text.size(), utf8proc_errmsg(size));
  return std::string(reinterpret_cast<const char*>(out), static_cast<std::size_t>(size));
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each(text, [&out](char32_t c, std::string_view) {
    if (c == 0x130) {  // the one character whose lower case is two
      out += "i\xCC\x87";
      return;
    }
    append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
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
