// Runs the tree of a chat template. Steps, depth and output are bounded, so that a hostile template
// ends with an error.
#pragma once

#include <map>
#include <string>

#include "data/chat/template_syntax.h"

namespace moesaic::chat {

/// The text that `body` writes with these global values. Error(kData) naming `where` and the line:
/// also what raise_exception of the template says.
std::string run_template(const Body& body, const std::map<std::string, Value>& globals,
                         const std::string& where);

}  // namespace moesaic::chat
