#include "metrics/rouge_l.h"

#include <algorithm>
#include <cstdint>
#include <unordered_map>

namespace moesaic::metrics {
namespace {

using RougeWords = std::vector<std::string>;
using Bits = std::uint64_t;

// The length of the longest common subsequence, 64 words of `a` at a time (Hyyrö 2004): bit i of
// `open` is 0 where word i of `a` makes the subsequence longer.
std::size_t longest_common_subsequence(const RougeWords& a, const RougeWords& b) {
  constexpr std::size_t kBits = 64;
  std::unordered_map<std::string_view, std::vector<std::size_t>> places;
  for (std::size_t i = 0; i < a.size(); ++i) places[a[i]].push_back(i);
  std::vector<Bits> open((a.size() + kBits - 1) / kBits, ~Bits{0}), same(open.size(), 0);
  for (const std::string& word : b) {
    const auto found = places.find(word);
    if (found == places.end()) continue;
    for (const std::size_t i : found->second) same[i / kBits] |= Bits{1} << i % kBits;
    Bits carry = 0;
    for (std::size_t k = 0; k < open.size(); ++k) {
      const Bits old = open[k], shared = old & same[k];
      const Bits with_carry = old + carry;
      const Bits sum = with_carry + shared;
      carry = static_cast<Bits>(with_carry < old) | static_cast<Bits>(sum < shared);
      open[k] = sum | (old & ~same[k]);
    }
    for (const std::size_t i : found->second) same[i / kBits] = 0;
  }
  std::size_t length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) length += (open[i / kBits] >> i % kBits & 1U) == 0;
  return length;
}

double rouge_of(const RougeWords& prediction, const RougeWords& reference) {
  const auto common = static_cast<double>(longest_common_subsequence(reference, prediction));
  if (common == 0) return 0;
  const double precision = common / static_cast<double>(prediction.size()),
               recall = common / static_cast<double>(reference.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

std::vector<std::string> rouge_words(std::string_view text) {
  // Two characters outside of ASCII have lower cases within it.
  constexpr std::string_view kKelvin = "\xE2\x84\xAA", kDottedI = "\xC4\xB0";
  RougeWords found;
  bool within = false;
  const auto add = [&](char c) {
    if (!within) found.emplace_back();
    found.back().push_back(c);
    within = true;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      add(c);
    } else if (c >= 'A' && c <= 'Z') {
      add(static_cast<char>(c - 'A' + 'a'));
    } else if (text.substr(i, kKelvin.size()) == kKelvin) {
      add('k');
      i += kKelvin.size() - 1;
    } else if (text.substr(i, kDottedI.size()) == kDottedI) {
      add('i');
      within = false;  // the dot follows
      i += kDottedI.size() - 1;
    } else {
      within = false;
    }
  }
  return found;
}

double rouge_l(const Answer& answer) {
  const RougeWords prediction = rouge_words(answer.prediction);
  double best_rouge = 0;
  for (const std::string& reference : answer.expected)
    best_rouge = std::max(best_rouge, rouge_of(prediction, rouge_words(reference)));
  return best_rouge;
}

}  // namespace moesaic::metrics
