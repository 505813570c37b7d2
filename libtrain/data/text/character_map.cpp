#include "data/text/character_map.h"

#include <algorithm>
#include <utility>

namespace moesaic {

CharacterMap::CharacterMap(std::span<const CharacterSet> sets,
                           const std::function<std::uint8_t(const Membership&)>& value) {
  for (unsigned v = 0; v < 256; ++v) blocks_.emplace_back().fill(static_cast<std::uint8_t>(v));
  std::vector<std::pair<char32_t, std::size_t>> turns;  // where a set begins or ends
  for (std::size_t i = 0; i < sets.size(); ++i)
    for (const CharacterSet::Run& run : sets[i].runs()) {
      turns.emplace_back(run.begin, i);
      turns.emplace_back(run.end, i);
    }
  std::sort(turns.begin(), turns.end());
  Membership in(sets.size());
  char32_t done = 0;
  for (const auto& [at, set] : turns) {
    if (at > done) fill(done, at, value(in));
    done = at;
    in[set] = !in[set];
  }
  if (done < kEndOfCharacters) fill(done, kEndOfCharacters, value(in));
}

void CharacterMap::fill(char32_t begin, char32_t end, std::uint8_t value) {
  for (char32_t at = begin; at < end;) {
    const char32_t stop = std::min<char32_t>(end, (at | 0xFFU) + 1);
    std::uint16_t& place = places_[at >> 8];
    if (stop - at == 256) {
      place = value;
    } else {
      if (place < 256) {
        place = static_cast<std::uint16_t>(blocks_.size());
        blocks_.emplace_back();
      }
      Block& block = blocks_[place];
      std::fill(block.begin() + (at & 0xFFU), block.begin() + (at & 0xFFU) + (stop - at), value);
    }
    at = stop;
  }
}

}  // namespace moesaic
