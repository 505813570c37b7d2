// The pieces of a text, words or characters, and how often so many of them come in a row.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace moesaic::metrics {

/// Parts of one text, in its order, which must outlive them.
using Pieces = std::vector<std::string_view>;
using NgramCounts = std::unordered_map<std::string_view, std::int64_t>;

/// What Python's str.split() gives: the words between white space of Unicode.
Pieces words(std::string_view text);
/// `pieces` with `separator` between them.
std::string joined(const Pieces& pieces, std::string_view separator);
/// The characters of UTF-8; bytes that are none belong to the character before them.
Pieces characters(std::string_view text);

/// The n-grams of `pieces`, each as the text from its first to its last piece: texts are comparable
/// when the same stands between their pieces.
NgramCounts count_ngrams(const Pieces& pieces, std::size_t n);

/// n-grams of both, each as often as in the one that has fewer.
std::int64_t common_ngrams(const NgramCounts& a, const NgramCounts& b);

}  // namespace moesaic::metrics
