// Splitting of a text at the matches of a pattern, with the behaviours of tokenizer.json.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/regex.h"

namespace moesaic {

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// "Removed", "Isolated" ...; Error(kData) naming `where` otherwise.
SplitBehavior split_behavior(const std::string& name, const std::string& where);

/// A text cut into stretches that match and stretches that do not, in order, without gaps.
struct Stretch {
  Extent extent;
  bool is_match = false;
};
using Stretches = std::vector<Stretch>;

/// What a text is split at.
using Pattern = std::function<Stretches(std::string_view text)>;

Pattern regex_pattern(Regex regex);
Pattern literal_pattern(std::string literal);
/// Each character with the property is a match of its own.
Pattern character_pattern(bool (*has_property)(char32_t));
/// What `pattern` does not match.
Pattern inverted(Pattern pattern);

/// Appends the non-empty pieces of `text`.
void split(std::string_view text, const Pattern& pattern, SplitBehavior behavior,
           std::vector<std::string_view>& pieces);

}  // namespace moesaic
