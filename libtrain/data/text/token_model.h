// TokenModel: ids of one piece of a text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/vocabulary.h"

namespace moesaic {

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the ids of `piece`, valid UTF-8. One object serves one thread at a time.
  virtual void tokenize(std::string_view piece, std::vector<std::uint32_t>& ids) = 0;
  /// For another thread.
  virtual std::unique_ptr<TokenModel> clone() const = 0;
};

/// Byte-pair encoding (Sennrich et al. 2016): the characters of a piece are joined pair by pair in
/// the order of `merges`.
struct BpeOptions {
  std::vector<std::pair<std::string, std::string>> merges;
  std::string unk_token;                  // empty: unknown characters vanish
  std::string continuing_subword_prefix;  // before each character but the first
  std::string end_of_word_suffix;         // after the last character
  bool fuse_unk = false;                  // one unk_token for neighbours
  bool byte_fallback = false;             // unknown characters become tokens <0x00> to <0xFF>
  bool ignore_merges = false;             // a piece that is a token is that token
  bool raw_bytes = false;                 // tokens are in the byte alphabet, pieces are not
};
/// Error(kData) naming `where`.
std::unique_ptr<TokenModel> make_bpe(std::shared_ptr<const Vocabulary> vocabulary,
                                     const BpeOptions& options, const std::string& where);

/// WordPiece (Devlin et al. 2018): the longest token that begins the rest of the piece, again and
/// again; a piece that ends otherwise is unk_token.
struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  std::int64_t max_input_chars_per_word = 100;  // a longer piece is unk_token
};
std::unique_ptr<TokenModel> make_wordpiece(std::shared_ptr<const Vocabulary> vocabulary,
                                           const WordPieceOptions& options,
                                           const std::string& where);

}  // namespace moesaic
