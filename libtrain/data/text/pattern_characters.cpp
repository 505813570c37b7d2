#include "data/text/pattern_characters.h"

#include "core/error.h"
#include "core/json.h"
#include "data/text/character_properties.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

using Runs = std::vector<CharacterSet::Run>;

constexpr std::size_t kLongestPattern = 64 << 10;  // bytes
constexpr int kDeepestClass = 32;

std::optional<char32_t> digit_of(char32_t c, char32_t base) {
  const char32_t value = c >= '0' && c <= '9'   ? c - '0'
                         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                : base;
  return value < base ? std::optional(value) : std::nullopt;
}

// Up to `most` digits.
char32_t read_number(PatternText& text, char32_t base, int most) {
  char32_t value = 0;
  for (int i = 0; i < most; ++i) {
    const auto digit = digit_of(text.peek(), base);
    if (!digit) break;
    value = value * base + *digit;
    text.next();
  }
  return value;
}

char32_t read_hexadecimal(PatternText& text) {
  if (!text.skip("{")) {
    const char32_t value = read_number(text, 16, 2);
    if (value >= 0x80) text.fail("bytes beyond ASCII are not supported (write \\x{...})");
    return value;
  }
  const char32_t value = read_number(text, 16, 8);
  if (!text.skip("}")) text.fail("\\x{ without digits and }");
  return value;
}

// The rest of \p{...}.
CharacterSet read_property(PatternText& text, bool inverted) {
  if (!text.skip("{")) text.fail("\\p without {");
  if (text.skip("^")) inverted = !inverted;
  const auto name = text.until('}');
  if (!name) text.fail("\\p{ without }");
  const auto set = property_set(*name);
  if (!set) text.fail(format("the property '{}' is not supported", printable(*name)));
  return inverted ? ~*set : *set;
}

// [:name:] after the bracket; nullopt, passing nothing, for another class.
std::optional<CharacterSet> read_posix(PatternText& text) {
  const std::size_t begin = text.place();
  if (text.skip(":")) {
    const bool inverted = text.skip("^");
    const auto name = text.until(':');
    if (name && text.skip("]"))
      if (const auto set = posix_set(*name)) return inverted ? ~*set : *set;
  }
  text.back_to(begin);
  return std::nullopt;
}

class ClassReader {
 public:
  ClassReader(PatternText& text, bool any_case) : text_(text), any_case_(any_case) {}

  CharacterSet read(int depth) {
    if (depth > kDeepestClass) text_.fail("classes are nested too deeply");
    const bool inverted = text_.skip("^");
    std::optional<CharacterSet> all;  // of the parts before &&
    Runs part;
    const auto close_part = [&] {
      const CharacterSet set(std::move(part));
      all = all ? *all & set : set;
      part.clear();
    };
    for (bool first = true;; first = false) {
      if (!text_.more()) text_.fail("a class without ]");
      if (!first && text_.skip("]")) break;
      if (text_.skip("&&")) {
        close_part();
      } else {
        const CharacterSet one = item(depth);
        part.insert(part.end(), one.runs().begin(), one.runs().end());
      }
    }
    close_part();
    const CharacterSet set = any_case_ ? of_any_case(*all) : *all;
    return inverted ? ~set : set;
  }

 private:
  // A class, a property, a range or a character.
  CharacterSet item(int depth) {
    if (text_.skip("[")) {
      if (const auto posix = read_posix(text_)) return *posix;
      return read(depth + 1);
    }
    if (text_.peek() == '\\') {
      text_.next();
      if (const auto set = read_escaped_set(text_)) {
        if (text_.peek() == '-' && text_.peek(1) != ']') text_.fail("a range from no character");
        return *set;
      }
      return range_from(character_after_backslash());
    }
    return range_from(text_.next());
  }

  char32_t character_after_backslash() {
    return text_.skip("b") ? U'\b' : read_escaped_character(text_);
  }

  CharacterSet range_from(char32_t first) {
    char32_t last = first;
    if (text_.peek() == '-' && text_.peek(1) != ']') {
      text_.next();
      if (text_.peek() == '[') text_.fail("a range to no character");
      last = text_.next();
      if (last == '\\') {
        if (read_escaped_set(text_)) text_.fail("a range to no character");
        last = character_after_backslash();
      }
    }
    if (last < first) text_.fail("a range that ends before it begins");
    return CharacterSet(Runs{{first, last + 1}});
  }

  PatternText& text_;
  bool any_case_;
};

}  // namespace

PatternText::PatternText(const std::string& pattern, const std::string& where)
    : pattern_(printable(pattern)), where_(where) {
  MOESAIC_CHECK(pattern.size() <= kLongestPattern, ErrorKind::kData,
                "{}: a pattern of {} bytes, {} are allowed", where, pattern.size(),
                kLongestPattern);
  MOESAIC_CHECK(unicode::valid_prefix(pattern) == pattern.size(), ErrorKind::kData,
                "{}: the pattern '{}' is no UTF-8", where, pattern_);
  unicode::for_each(pattern, [this](char32_t c, std::string_view) { text_.push_back(c); });
}

char32_t PatternText::peek(std::size_t ahead) const {
  return at_ + ahead < text_.size() ? text_[at_ + ahead] : U'\0';
}

char32_t PatternText::next() {
  if (!more()) fail("it ends too early");
  return text_[at_++];
}

bool PatternText::skip(std::string_view what) {
  if (text_.size() - at_ < what.size()) return false;
  for (std::size_t i = 0; i < what.size(); ++i)
    if (text_[at_ + i] != static_cast<char32_t>(what[i])) return false;
  at_ += what.size();
  return true;
}

std::optional<std::string> PatternText::until(char32_t end) {
  const std::size_t found = text_.find(end, at_);
  if (found == std::u32string::npos) return std::nullopt;
  std::string out;
  for (; at_ < found; ++at_) unicode::append(out, text_[at_]);
  ++at_;
  return out;
}

void PatternText::fail(const std::string& problem) const {
  throw Error(ErrorKind::kData,
              format("{}: the pattern '{}', at {}: {}", where_, pattern_, at_, problem));
}

std::optional<CharacterSet> read_escaped_set(PatternText& text) {
  const char32_t letter = text.peek();
  if (letter == 'p' || letter == 'P') {
    text.next();
    return read_property(text, letter == 'P');
  }
  const char32_t small = letter | 0x20U;
  const char* const name = small == 's'   ? "space"
                           : small == 'd' ? "nd"
                           : small == 'w' ? "word"
                           : small == 'h' ? "xdigit"
                                          : nullptr;
  if (name == nullptr || letter > 'z') return std::nullopt;
  text.next();
  const CharacterSet set = *property_set(name);
  return letter == small ? set : ~set;
}

char32_t read_escaped_character(PatternText& text) {
  if (digit_of(text.peek(), 8)) return read_number(text, 8, 3);
  const char32_t letter = text.next();
  constexpr std::string_view kLetters = "tnrfvae", kMeant = "\t\n\r\f\v\a\x1B";
  const std::size_t known =
      letter < 0x80 ? kLetters.find(static_cast<char>(letter)) : std::string_view::npos;
  char32_t meant = known != std::string_view::npos ? static_cast<char32_t>(kMeant[known]) : letter;
  if (letter == 'x') meant = read_hexadecimal(text);
  if (letter == 'u') meant = read_number(text, 16, 4);
  if (letter < 0x80 &&
      std::string_view("cCMkgKRXyY").find(static_cast<char>(letter)) != std::string_view::npos)
    text.fail(format("\\{} is not supported", static_cast<char>(letter)));
  if (meant >= kEndOfCharacters) text.fail("no such character");
  return meant;
}

CharacterSet read_class(PatternText& text, bool any_case) {
  return ClassReader(text, any_case).read(1);
}

}  // namespace moesaic
