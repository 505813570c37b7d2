// JSON as it is printed and written.
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// The text of a value; `indent` spaces a level, -1 for one line. Bytes that are no UTF-8, as a
/// path may have, become U+FFFD, where dump() alone would throw.
std::string json_text(const Json& value, int indent = -1);

}  // namespace moesaic
