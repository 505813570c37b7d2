#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "data/text/token_model.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

class WordPiece : public TokenModel {
 public:
  WordPiece(std::shared_ptr<const Vocabulary> vocabulary, const WordPieceOptions& options,
            std::uint32_t unknown)
      : vocabulary_(std::move(vocabulary)), options_(options), unknown_(unknown) {}

  void tokenize(std::string_view piece, std::vector<std::uint32_t>& ids) override {
    ends_.clear();
    std::size_t at = 0;
    unicode::for_each(piece, [&](char32_t, std::string_view bytes) {
      at += bytes.size();
      ends_.push_back(at);
    });
    if (static_cast<std::int64_t>(ends_.size()) > options_.max_input_chars_per_word) {
      ids.push_back(unknown_);
      return;
    }
    const std::size_t before = ids.size();
    for (std::size_t begin = 0; begin < piece.size();) {
      const std::size_t end = longest(piece, begin, ids);
      if (end == begin) {
        ids.resize(before);
        ids.push_back(unknown_);
        return;
      }
      begin = end;
    }
  }

  std::unique_ptr<TokenModel> clone() const override { return std::make_unique<WordPiece>(*this); }

 private:
  // Appends the longest token that begins at `begin`; the end of it, or `begin`.
  std::size_t longest(std::string_view piece, std::size_t begin, std::vector<std::uint32_t>& ids) {
    for (auto end = ends_.rbegin(); end != ends_.rend() && *end > begin; ++end) {
      token_ = begin == 0 ? "" : options_.continuing_subword_prefix;
      token_ += piece.substr(begin, *end - begin);
      if (const auto id = vocabulary_->id(token_)) {
        ids.push_back(*id);
        return *end;
      }
    }
    return begin;
  }

  std::shared_ptr<const Vocabulary> vocabulary_;
  WordPieceOptions options_;
  std::uint32_t unknown_;
  std::vector<std::size_t> ends_;  // of the characters of the piece
  std::string token_;
};

}  // namespace

std::unique_ptr<TokenModel> make_wordpiece(std::shared_ptr<const Vocabulary> vocabulary,
                                           const WordPieceOptions& options,
                                           const std::string& where) {
  const auto unknown = vocabulary->id(options.unk_token);
  MOESAIC_CHECK(unknown.has_value(), ErrorKind::kData,
                "{}: unk_token '{}' is not in the vocabulary", where, printable(options.unk_token));
  return std::make_unique<WordPiece>(std::move(vocabulary), options, *unknown);
}

}  // namespace moesaic
