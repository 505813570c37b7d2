// Runs the tree of a chat template. Steps, depth and output are bounded, so that a hostile template
// ends with an error.
#pragma once

#include <map>
#include <string>

#include "data/chat/rendered_chat.h"
#include "data/chat/template_syntax.h"

namespace moesaic::chat {

/// The text that `body` writes with these global values, and in it what stands in blocks of
/// `generation`, but for those whose text a variable, a macro or a filter takes. Error(kData)
/// naming `where` and the line: also what raise_exception of the template says.
RenderedChat run_template(const Body& body, const std::map<std::string, Value>& globals,
                         const std::string& where);

}  // namespace moesaic::chat
