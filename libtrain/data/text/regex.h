// Regular expressions of tokenizer files, through PCRE2 with its compiler.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace moesaic {

/// Bytes [begin, end) of a text.
struct Extent {
  std::size_t begin = 0, end = 0;
  bool operator==(const Extent&) const = default;
};

/// Unicode properties for \s \w \d, ^ and $ at lines, as in the Oniguruma syntax that these files
/// are written for. One object serves one thread at a time; a copy, which shares the compiled
/// pattern, another.
class Regex {
 public:
  /// Error(kData) naming `where` for what PCRE2 does not compile, and for constructs that mean
  /// something else in Oniguruma.
  Regex(const std::string& pattern, const std::string& where);
  Regex(const Regex& other);
  Regex(Regex&&) noexcept;
  ~Regex();

  /// The first match at or after `start` in valid UTF-8. Error(kData) where a match takes too much
  /// work: the pattern backtracks without end.
  std::optional<Extent> find(std::string_view text, std::size_t start) const;

 private:
  struct Code;
  struct Scratch;
  std::shared_ptr<const Code> code_;
  std::unique_ptr<Scratch> scratch_;
  std::string where_;
};

}  // namespace moesaic
