// `moesaic data inspect`: what a token file holds.
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// Sizes, largest id, digest (computed anew), the ids that may be targets and the owners of
/// documents where the file tells them, the first ids, and the text of them where they can be those
/// of the byte tokenizer. `digest_ok` false = the content is damaged. Error(kData) when `path` is
/// no token file or its header or size is wrong.
Json inspect_token_file(const std::string& path);

/// The same as lines for people.
std::string readable_token_file(const Json& inspected);

}  // namespace moesaic
