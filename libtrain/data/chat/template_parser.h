// From the tokens of a chat template to its tree.
#pragma once

#include <string>
#include <string_view>

#include "data/chat/template_syntax.h"

namespace moesaic::chat {

/// Error(kData) naming `where` and the line, also for what Jinja has and is not supported, by name.
Body parse_template(std::string_view source, const std::string& where);

}  // namespace moesaic::chat
