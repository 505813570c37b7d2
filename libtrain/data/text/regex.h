// Regular expressions of tokenizer files, through PCRE2 with its compiler, byte by byte.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic {

/// Bytes [begin, end) of a text.
struct Extent {
  std::size_t begin = 0, end = 0;
  bool operator==(const Extent&) const = default;
};

/// A pattern of tokenizer files, which are written for Oniguruma (byte_pattern.h), with that
/// library's properties of characters. One object serves one thread at a time; a copy, which shares
/// the compiled pattern, another.
class Regex {
 public:
  /// Error(kData) naming `where` for patterns that are damaged or not supported.
  Regex(const std::string& pattern, const std::string& where);
  Regex(const Regex& other);
  Regex(Regex&&) noexcept;
  ~Regex();

  /// The matches in valid UTF-8 from left to right; an empty one right after another does not
  /// count. Error(kData) where a match takes too much work: the pattern backtracks without end.
  std::vector<Extent> find_all(std::string_view text) const;

 private:
  struct Code;
  struct Scratch;
  std::shared_ptr<const Code> code_;
  std::unique_ptr<Scratch> scratch_;
  std::string where_;
};

}  // namespace moesaic
