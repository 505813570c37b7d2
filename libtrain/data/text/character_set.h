// CharacterSet: some of all characters of Unicode.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

namespace moesaic {

inline constexpr char32_t kEndOfCharacters = 0x110000;

class CharacterSet {
 public:
  struct Run {
    char32_t begin = 0, end = 0;  // [begin, end)
    bool operator==(const Run&) const = default;
  };

  CharacterSet() = default;
  /// Of stretches in any order, which may overlap.
  explicit CharacterSet(std::vector<Run> runs);
  CharacterSet(std::initializer_list<Run> runs) : CharacterSet(std::vector<Run>(runs)) {}
  /// Of a text of character_data.h.
  static CharacterSet read(std::string_view text);

  /// In order, with gaps between.
  const std::vector<Run>& runs() const { return runs_; }
  bool contains(char32_t c) const;
  bool operator==(const CharacterSet&) const = default;

  friend CharacterSet operator|(const CharacterSet& a, const CharacterSet& b);
  friend CharacterSet operator&(const CharacterSet& a, const CharacterSet& b);
  friend CharacterSet operator~(const CharacterSet& a);

 private:
  std::vector<Run> runs_;
};

}  // namespace moesaic
