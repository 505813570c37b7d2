// Normalizers of a tokenizer.json: what is done to a text before it is cut.
#pragma once

#include <functional>
#include <string>

#include "data/text/json_fields.h"

namespace moesaic {

using Normalizer = std::function<std::string(std::string text)>;

/// `part` may be null: then nothing is done. NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents,
/// BertNormalizer, Prepend, Replace, Sequence; Error(kData) otherwise.
Normalizer make_normalizer(const JsonPart& part);

}  // namespace moesaic
