// Decoders of a tokenizer.json: tokens back to text.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/text/json_fields.h"

namespace moesaic {

/// Strings of the tokens -> strings whose concatenation is the text.
using TokenDecoder = std::function<std::vector<std::string>(std::vector<std::string> tokens)>;

/// `part` may be null: then tokens are joined by blanks. ByteLevel, Metaspace, ByteFallback,
/// WordPiece, Fuse, Strip, Replace, Sequence; Error(kData) otherwise.
TokenDecoder make_token_decoder(const JsonPart& part);

}  // namespace moesaic
