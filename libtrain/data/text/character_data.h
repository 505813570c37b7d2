// What the library tokenizers takes each character for, as text that is read once: the tables are
// our own, because those of PCRE2 and utf8proc change with their versions.
#pragma once

#include <string_view>
#include <vector>

namespace moesaic::character_data {

// A set is written as gap, length, gap, length ... from U+0000 on; the last digit of a number in
// base 26 is a capital letter. scripts/unicode_tables.py writes them.
extern const std::string_view kNumeric;         // of Digits
extern const std::string_view kPunctuation;     // of Punctuation and BertPreTokenizer
extern const std::string_view kMark;            // of StripAccents
extern const std::string_view kNonspacingMark;  // of BertNormalizer
extern const std::string_view kControl;         // of BertNormalizer
extern const std::string_view kComposing;       // changed, moved or joined by a normal form

/// General categories in patterns: length and two letters of each stretch.
extern const std::string_view kCategories;

/// Series of letters: gap, count, step, and twice the distance to the lower case, plus 1 where that
/// is before the letter.
extern const std::string_view kLowerCase;

struct NamedSet {
  std::string_view name;  // in small letters, without blanks, - and _
  std::string_view text;
};
/// Scripts and other properties in patterns.
const std::vector<NamedSet>& named_sets();

/// Reads the numbers of such a text one by one.
class Numbers {
 public:
  explicit Numbers(std::string_view text) : rest_(text) {}

  bool more() const { return !rest_.empty(); }
  char32_t next() {
    char32_t value = 0;
    while (true) {
      const char digit = letter();
      if (digit < 'a') return value * 26 + static_cast<char32_t>(digit - 'A');
      value = value * 26 + static_cast<char32_t>(digit - 'a');
    }
  }
  char letter() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

 private:
  std::string_view rest_;
};

}  // namespace moesaic::character_data
