#include "data/text/split.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

void push(Stretches& stretches, std::size_t begin, std::size_t end, bool is_match) {
  stretches.push_back({{begin, end}, is_match});
}

// Merges each match into its neighbour: the stretch before it in the order of `stretches`, unless
// that is a match, too.
Stretches merged(const Stretches& stretches) {
  Stretches out;
  bool previous = false;
  for (const Stretch& s : stretches) {
    if (s.is_match && !previous && !out.empty()) {
      Extent& last = out.back().extent;
      last = {std::min(last.begin, s.extent.begin), std::max(last.end, s.extent.end)};
    } else {
      out.push_back({s.extent, false});
    }
    previous = s.is_match;
  }
  return out;
}

Stretches contiguous(const Stretches& stretches) {
  Stretches out;
  bool previous = false;
  for (const Stretch& s : stretches) {
    if (s.is_match == previous && !out.empty())
      out.back().extent.end = s.extent.end;
    else
      out.push_back({s.extent, false});
    previous = s.is_match;
  }
  return out;
}

Stretches pieces_of(Stretches stretches, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      break;
    case SplitBehavior::kIsolated:
      for (Stretch& s : stretches) s.is_match = false;
      break;
    case SplitBehavior::kMergedWithPrevious:
      return merged(stretches);
    case SplitBehavior::kMergedWithNext:
      std::reverse(stretches.begin(), stretches.end());
      stretches = merged(stretches);
      std::reverse(stretches.begin(), stretches.end());
      break;
    case SplitBehavior::kContiguous:
      return contiguous(stretches);
  }
  return stretches;
}

}  // namespace

SplitBehavior split_behavior(const std::string& name, const std::string& where) {
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  throw Error(ErrorKind::kData, format("{}: behavior '{}' is none of Removed, Isolated, "
                                       "MergedWithPrevious, MergedWithNext, Contiguous",
                                       where, printable(name)));
}

Pattern regex_pattern(Regex regex) {
  return [regex = std::move(regex)](std::string_view text) {
    Stretches out;
    std::size_t done = 0;
    for (const Extent& match : regex.find_all(text)) {
      if (done != match.begin) push(out, done, match.begin, false);
      push(out, match.begin, match.end, true);
      done = match.end;
    }
    if (done != text.size()) push(out, done, text.size(), false);
    return out;
  };
}

Pattern literal_pattern(std::string literal) {
  return [literal = std::move(literal)](std::string_view text) {
    Stretches out;
    std::size_t done = 0;
    while (!literal.empty()) {
      const std::size_t begin = text.find(literal, done);
      if (begin == std::string_view::npos) break;
      if (done != begin) push(out, done, begin, false);
      done = begin + literal.size();
      push(out, begin, done, true);
    }
    if (done != text.size()) push(out, done, text.size(), false);
    return out;
  };
}

Pattern character_pattern(bool (*has_property)(char32_t)) {
  return [has_property](std::string_view text) {
    Stretches out;
    std::size_t done = 0;
    for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
      if (!has_property(unicode::decode(text, at, length))) continue;
      if (done != at) push(out, done, at, false);
      done = at + length;
      push(out, at, done, true);
    }
    if (done != text.size()) push(out, done, text.size(), false);
    return out;
  };
}

Pattern inverted(Pattern pattern) {
  return [pattern = std::move(pattern)](std::string_view text) {
    Stretches out = pattern(text);
    for (Stretch& s : out) s.is_match = !s.is_match;
    return out;
  };
}

void split(std::string_view text, const Pattern& pattern, SplitBehavior behavior,
           std::vector<std::string_view>& pieces) {
  for (const Stretch& s : pieces_of(pattern(text), behavior))
    if (!s.is_match && s.extent.begin != s.extent.end)
      pieces.push_back(text.substr(s.extent.begin, s.extent.end - s.extent.begin));
}

}  // namespace moesaic
