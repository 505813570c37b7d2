// CharacterMap: a byte for each character of Unicode, found by two loads.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/text/character_set.h"

namespace moesaic {

/// Which of the sets a character is in, by their position.
using Membership = std::vector<bool>;

class CharacterMap {
 public:
  /// value(m) for the characters that are in just the sets m. It is asked once for each stretch of
  /// such characters, in order.
  CharacterMap(std::span<const CharacterSet> sets,
               const std::function<std::uint8_t(const Membership&)>& value);

  /// Of a character below kEndOfCharacters.
  std::uint8_t operator[](char32_t c) const { return blocks_[places_[c >> 8]][c & 0xFFU]; }

 private:
  using Block = std::array<std::uint8_t, 256>;

  void fill(char32_t begin, char32_t end, std::uint8_t value);

  std::array<std::uint16_t, kEndOfCharacters / 256> places_{};  // in blocks_
  std::vector<Block> blocks_;  // the first 256 are of one value each: most of Unicode
};

}  // namespace moesaic
