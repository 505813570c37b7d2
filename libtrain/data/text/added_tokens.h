// AddedTokens: tokens that are found in the text before anything else looks at it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic {

struct AddedToken {
  std::string content;
  std::uint32_t id = 0;
  bool special = false;      // skipped by decode where asked for
  bool single_word = false;  // only between what is no word character
  bool lstrip = false;       // takes the blanks before it along
  bool rstrip = false;       // and those after it
  bool normalized = false;   // found in the normalised text
  std::string text;          // as it is found and decoded: the content, normalised where it says so
};

/// A stretch of text: a token, or what lies between two.
struct TextPart {
  std::string_view text;
  std::optional<std::uint32_t> id;
};

class AddedTokens {
 public:
  /// Those of `tokens` whose text is not empty.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }
  /// Calls visit(part) for the parts of `text`, valid UTF-8, in order: at each place the longest
  /// token, from the left.
  template <class Visit>
  void for_each_part(std::string_view text, const Visit& visit) const {
    for (const TextPart& part : parts(text)) visit(part);
  }

 private:
  std::vector<TextPart> parts(std::string_view text) const;
  const AddedToken* match(std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;                  // longest first
  std::array<std::vector<std::size_t>, 256> with_;  // positions of those that begin with a byte
};

}  // namespace moesaic
