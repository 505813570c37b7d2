// Tokenizer: text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace moesaic {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Appends the ids of `text` to `ids`, without those that are written around a text. Error(kData)
  /// as of require_text(). One object serves one thread at a time.
  virtual void encode(std::string_view text, std::vector<std::uint32_t>& ids) const = 0;
  /// As above with those that the tokenizer's post-processor writes around it.
  virtual void encode_with_special(std::string_view text, std::vector<std::uint32_t>& ids) const {
    encode(text, ids);
  }
  /// Error(kData) that names `where` and the byte for what is no text to this tokenizer: all bytes
  /// are where ids are bytes, UTF-8 alone elsewhere.
  virtual void require_text(std::string_view /*text*/, const std::string& /*where*/) const {}
  /// Text of `ids`; special tokens are left out unless asked for. Error(kData) for an id that is
  /// not in the vocabulary.
  virtual std::string decode(std::span<const std::uint32_t> ids,
                             bool keep_special = false) const = 0;
  /// For another thread.
  virtual std::unique_ptr<Tokenizer> clone() const = 0;

  virtual std::int64_t vocab_size() const = 0;
  /// Written after each document.
  virtual std::optional<std::uint32_t> end_of_text() const = 0;
  /// True when encoding the pieces of a text gives the ids of the text, wherever it is cut: then a
  /// file of any size is read in pieces.
  virtual bool encodes_in_pieces() const = 0;
  /// All that decides which ids a text becomes: part of the name of a cached token file.
  virtual Json describe() const = 0;
};

/// Ids 0-255 are the bytes, 256 is the end of text.
std::unique_ptr<Tokenizer> byte_tokenizer();

/// A tokenizer that could not be read: whatever is asked of it throws `reason`.
std::unique_ptr<Tokenizer> unusable_tokenizer(const Error& reason);

/// The tokenizer that a recipe names: "byte", a tokenizer.json or a folder with one.
std::unique_ptr<Tokenizer> make_tokenizer(const std::string& spec);

}  // namespace moesaic
