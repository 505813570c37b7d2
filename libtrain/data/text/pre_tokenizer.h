// Pre-tokenizers of a tokenizer.json: they cut a text into the pieces that the model sees one by
// one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/json_fields.h"

namespace moesaic {

/// Pieces of a text. Steps change pieces or cut them; `owned` keeps what is no part of the text.
struct Pieces {
  std::vector<std::string_view> list;
  std::vector<std::unique_ptr<std::string>> owned;
  bool at_start = false;  // the first piece begins where the whole text does

  std::string_view keep(std::string text) {
    owned.push_back(std::make_unique<std::string>(std::move(text)));
    return *owned.back();
  }
};

struct PreTokenizer {
  std::function<void(Pieces&)> cut;
  /// The bytes of each piece are to be mapped to the byte alphabet after all steps, which the
  /// model may save itself.
  bool byte_level = false;
};

/// `cut`, then each piece in the byte alphabet.
std::function<void(Pieces&)> mapped_to_bytes(std::function<void(Pieces&)> cut);

/// `part` may be null: then the text is one piece. Split, ByteLevel, Digits, Metaspace,
/// Punctuation, Whitespace, WhitespaceSplit, BertPreTokenizer, Sequence; Error(kData) otherwise.
PreTokenizer make_pre_tokenizer(const JsonPart& part);

}  // namespace moesaic
