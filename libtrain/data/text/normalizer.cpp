#include "data/text/normalizer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.h"
#include "data/text/pattern_part.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

constexpr std::string_view kSupported =
    "NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, BertNormalizer, Prepend, Replace, "
    "Sequence";

// The characters of `text` for which keep(c).
template <class Keep>
std::string filtered(std::string_view text, const Keep& keep) {
  std::string out;
  out.reserve(text.size());
  unicode::for_each(text, [&](char32_t c, std::string_view bytes) {
    if (keep(c)) out += bytes;
  });
  return out;
}

bool is_chinese(char32_t c) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
      {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

bool is_kept_by_bert(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return true;
  return c != 0 && c != 0xFFFD && !unicode::is_control(c);
}

std::string cleaned(std::string_view text) {
  std::string out;
  unicode::for_each(text, [&out](char32_t c, std::string_view bytes) {
    if (!is_kept_by_bert(c)) return;
    out += unicode::is_whitespace(c) ? std::string_view(" ") : bytes;
  });
  return out;
}

std::string with_blanks_around_chinese(std::string_view text) {
  std::string out;
  unicode::for_each(text, [&out](char32_t c, std::string_view bytes) {
    const bool chinese = is_chinese(c);
    if (chinese) out += ' ';
    out += bytes;
    if (chinese) out += ' ';
  });
  return out;
}

Normalizer bert(const JsonPart& part) {
  const bool clean = part.flag("clean_text", true);
  const bool chinese = part.flag("handle_chinese_chars", true);
  const bool lower = part.flag("lowercase", true);
  const bool strip = part.flag("strip_accents", lower);
  return [=](std::string text) {
    if (clean) text = cleaned(text);
    if (chinese) text = with_blanks_around_chinese(text);
    if (strip)
      text = filtered(unicode::normalize(text, unicode::Form::kNfd),
                      [](char32_t c) { return !unicode::is_nonspacing_mark(c); });
    return lower ? unicode::lowercase(text) : text;
  };
}

Normalizer form(unicode::Form form) {
  return [form](const std::string& text) { return unicode::normalize(text, form); };
}

Normalizer strip(const JsonPart& part) {
  const bool left = part.flag("strip_left", true), right = part.flag("strip_right", true);
  return [=](const std::string& text) {
    std::size_t begin = text.size(), end = 0, at = 0;
    unicode::for_each(text, [&](char32_t c, std::string_view bytes) {
      if (!unicode::is_whitespace(c)) {
        begin = std::min(begin, at);
        end = at + bytes.size();
      }
      at += bytes.size();
    });
    if (!left) begin = 0;
    if (!right) end = text.size();
    return begin < end ? text.substr(begin, end - begin) : std::string();
  };
}

Normalizer replace(const JsonPart& part) {
  return [pattern = pattern_of(part.part("pattern")),
          content = part.text("content")](const std::string& text) {
    std::string out;
    for (const Stretch& s : pattern(text)) {
      if (s.is_match)
        out += content;
      else
        out.append(text, s.extent.begin, s.extent.end - s.extent.begin);
    }
    return out;
  };
}

Normalizer sequence(const JsonPart& part) {
  std::vector<Normalizer> steps;
  for (const JsonPart& step : part.parts("normalizers")) steps.push_back(make_normalizer(step));
  return [steps](std::string text) {
    for (const Normalizer& step : steps) text = step(std::move(text));
    return text;
  };
}

}  // namespace

Normalizer make_normalizer(const JsonPart& part) {
  if (part.is_null()) return [](std::string text) { return text; };
  const std::string type = part.type();
  if (type == "NFC") return form(unicode::Form::kNfc);
  if (type == "NFD") return form(unicode::Form::kNfd);
  if (type == "NFKC") return form(unicode::Form::kNfkc);
  if (type == "NFKD") return form(unicode::Form::kNfkd);
  if (type == "Lowercase") return [](const std::string& text) { return unicode::lowercase(text); };
  if (type == "Strip") return strip(part);
  if (type == "StripAccents")
    return [](const std::string& text) {
      return filtered(text, [](char32_t c) { return !unicode::is_mark(c); });
    };
  if (type == "BertNormalizer") return bert(part);
  if (type == "Prepend")
    return [prefix = part.text("prepend")](const std::string& text) {
      return text.empty() ? text : prefix + text;
    };
  if (type == "Replace") return replace(part);
  if (type == "Sequence") return sequence(part);
  part.refuse("normalizer", kSupported);
}

}  // namespace moesaic
