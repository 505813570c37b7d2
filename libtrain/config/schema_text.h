// The schema for people and for programs.
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// The page docs/recipe-reference.md.
std::string schema_markdown();

/// One line a key, for a terminal.
std::string schema_table();

/// [{"key", "type", "default", "allowed", "required", "meaning"}, ...]
Json schema_json();

}  // namespace moesaic
