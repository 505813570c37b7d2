#include "metrics/ngrams.h"

#include <algorithm>

namespace moesaic::metrics {
namespace {

// Bytes of the white space at `at`, as Python's str.isspace() sees it; 0 where there is none.
std::size_t white_space_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned first = byte(0), rest = byte(1) << 8U | byte(2);
  if (first < 0x80) {
    const bool is =
        first == 0x20 || (first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x1F);
    return is ? 1 : 0;
  }
  if (first == 0xC2) return byte(1) == 0x85 || byte(1) == 0xA0 ? 2 : 0;     // U+0085, U+00A0
  const bool is = (first == 0xE1 && rest == 0x9A80) ||                      // U+1680
                  (first == 0xE2 && rest >= 0x8080 && rest <= 0x808A) ||    // U+2000 to U+200A
                  (first == 0xE2 && (rest == 0x80A8 || rest == 0x80A9)) ||  // U+2028, U+2029
                  (first == 0xE2 && (rest == 0x80AF || rest == 0x819F)) ||  // U+202F, U+205F
                  (first == 0xE3 && rest == 0x8080);                        // U+3000
  return is ? 3 : 0;
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; }

}  // namespace

Pieces words(std::string_view text) {
  Pieces pieces;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t blank = white_space_at(text, at);
    if (blank == 0) {
      ++at;
      continue;
    }
    if (at > begin) pieces.push_back(text.substr(begin, at - begin));
    at += blank;
    begin = at;
  }
  if (text.size() > begin) pieces.push_back(text.substr(begin));
  return pieces;
}

std::string joined(const Pieces& pieces, std::string_view separator) {
  std::string text;
  for (const std::string_view piece : pieces) {
    if (!text.empty()) text.append(separator);
    text.append(piece);
  }
  return text;
}

Pieces characters(std::string_view text) {
  Pieces pieces;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    while (end < text.size() && continues_character(text[end])) ++end;
    pieces.push_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

NgramCounts count_ngrams(const Pieces& pieces, std::size_t n) {
  NgramCounts counts;
  if (pieces.size() < n) return counts;
  counts.reserve(pieces.size());
  for (std::size_t i = 0; i + n <= pieces.size(); ++i) {
    const std::string_view last = pieces[i + n - 1];
    const char* const begin = pieces[i].data();
    ++counts[{begin, static_cast<std::size_t>(last.data() + last.size() - begin)}];
  }
  return counts;
}

std::int64_t common_ngrams(const NgramCounts& a, const NgramCounts& b) {
  std::int64_t common = 0;
  for (const auto& [ngram, count] : a) {
    const auto found = b.find(ngram);
    if (found != b.end()) common += std::min(count, found->second);
  }
  return common;
}

}  // namespace moesaic::metrics
