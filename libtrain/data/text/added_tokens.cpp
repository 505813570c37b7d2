#include "data/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "data/text/unicode.h"

namespace moesaic {
namespace {

// The character that ends at `end`.
char32_t character_before(std::string_view text, std::size_t end) {
  std::size_t at = end - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80) --at;
  std::size_t length = 0;
  return unicode::decode(text, at, length);
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  std::size_t length = 0;
  return (begin == 0 || !unicode::is_word(character_before(text, begin))) &&
         (end == text.size() || !unicode::is_word(unicode::decode(text, end, length)));
}

std::size_t blanks_begin(std::string_view text, std::size_t end) {
  while (end > 0) {
    const char32_t c = character_before(text, end);
    if (!unicode::is_whitespace(c)) break;
    end -= c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
  }
  return end;
}

std::size_t blanks_end(std::string_view text, std::size_t begin) {
  for (std::size_t length = 0; begin < text.size(); begin += length)
    if (!unicode::is_whitespace(unicode::decode(text, begin, length))) break;
  return begin;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.text.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.text.size() > b.text.size();
  });
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    with_[static_cast<unsigned char>(tokens_[i].text.front())].push_back(i);
}

const AddedToken* AddedTokens::match(std::string_view text, std::size_t at) const {
  for (const std::size_t i : with_[static_cast<unsigned char>(text[at])])
    if (text.compare(at, tokens_[i].text.size(), tokens_[i].text) == 0) return &tokens_[i];
  return nullptr;
}

std::vector<TextPart> AddedTokens::parts(std::string_view text) const {
  std::vector<TextPart> out;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* const token = tokens_.empty() ? nullptr : match(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + token->text.size();
    at = end;
    if (token->single_word && !stands_alone(text, begin, end)) continue;
    if (token->lstrip) begin = std::max(blanks_begin(text, begin), done);
    if (token->rstrip) end = blanks_end(text, end);
    if (done < begin) out.push_back({text.substr(done, begin - done), std::nullopt});
    out.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  if (done < text.size()) out.push_back({text.substr(done), std::nullopt});
  return out;
}

}  // namespace moesaic
