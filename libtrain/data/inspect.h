// `moesaic data inspect`: what a token file holds.
#pragma once

#include <string>

#include "core/json.h"
#include "data/tokenizer.h"

namespace moesaic {

/// Sizes, largest id, digest (computed anew), the ids that may be targets and the owners of
/// documents where the file tells them, the first ids, and their text by `tokenizer` where it is
/// given (the file does not say which one made it). `digest_ok` false = the content is damaged.
/// Error(kData) when `path` is no token file, its header or size is wrong, or `tokenizer` lacks an
/// id.
Json inspect_token_file(const std::string& path, const Tokenizer* tokenizer = nullptr);

/// The same as lines for people.
std::string readable_token_file(const Json& inspected);

}  // namespace moesaic
