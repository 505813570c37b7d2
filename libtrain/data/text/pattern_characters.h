// The part of a pattern's syntax that means characters: single ones, escapes and classes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/text/character_set.h"

namespace moesaic {

/// A pattern, read character by character.
class PatternText {
 public:
  /// Error(kData) naming `where` when `pattern` is too long or no UTF-8.
  PatternText(const std::string& pattern, const std::string& where);

  bool more() const { return at_ < text_.size(); }
  /// The character that comes after `ahead` others, U+0000 at the end.
  char32_t peek(std::size_t ahead = 0) const;
  char32_t next();
  /// Whether the text goes on with `what`, which is then passed.
  bool skip(std::string_view what);
  /// What comes before `end`, passing both; nullopt, passing nothing, where there is no end.
  std::optional<std::string> until(char32_t end);

  /// Where the reader is, to come back to.
  std::size_t place() const { return at_; }
  void back_to(std::size_t place) { at_ = place; }

  [[noreturn]] void fail(const std::string& problem) const;

 private:
  std::u32string text_;
  std::size_t at_ = 0;
  std::string pattern_, where_;  // for messages
};

/// After a backslash: \s \p{L} ... ; nullopt, passing nothing, for another escape.
std::optional<CharacterSet> read_escaped_set(PatternText& text);
/// After a backslash: the character that is meant.
char32_t read_escaped_character(PatternText& text);
/// After a [: the class.
CharacterSet read_class(PatternText& text, bool any_case);

}  // namespace moesaic
