#include "data/text/character_set.h"

#include <algorithm>

#include "data/text/character_data.h"

namespace moesaic {

CharacterSet::CharacterSet(std::vector<Run> runs) {
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.begin < b.begin; });
  for (const Run& run : runs) {
    if (run.begin >= run.end) continue;
    if (!runs_.empty() && run.begin <= runs_.back().end)
      runs_.back().end = std::max(runs_.back().end, run.end);
    else
      runs_.push_back(run);
  }
}

CharacterSet CharacterSet::read(std::string_view text) {
  CharacterSet set;
  char32_t done = 0;
  for (character_data::Numbers numbers(text); numbers.more();) {
    const char32_t begin = done + numbers.next();
    done = begin + numbers.next();
    set.runs_.push_back({begin, done});
  }
  return set;
}

bool CharacterSet::contains(char32_t c) const {
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), c,
                                      [](char32_t at, const Run& run) { return at < run.begin; });
  return after != runs_.begin() && c < std::prev(after)->end;
}

CharacterSet operator|(const CharacterSet& a, const CharacterSet& b) {
  std::vector<CharacterSet::Run> runs = a.runs_;
  runs.insert(runs.end(), b.runs_.begin(), b.runs_.end());
  return CharacterSet(std::move(runs));
}

CharacterSet operator&(const CharacterSet& a, const CharacterSet& b) { return ~(~a | ~b); }

CharacterSet operator~(const CharacterSet& a) {
  CharacterSet out;
  char32_t done = 0;
  for (const CharacterSet::Run& run : a.runs_) {
    if (run.begin > done) out.runs_.push_back({done, run.begin});
    done = run.end;
  }
  if (done < kEndOfCharacters) out.runs_.push_back({done, kEndOfCharacters});
  return out;
}

}  // namespace moesaic
