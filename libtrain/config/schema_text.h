// The schema for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "config/schema.h"
#include "core/json.h"

namespace moesaic {

/// The keys of a recipe, for the functions below.
inline std::vector<KeyInfo> recipe_key_infos() {
  return {recipe_keys().begin(), recipe_keys().end()};
}

/// The page docs/recipe-reference.md. A key of an optional block names it: "16 with adapt.lora".
std::string schema_markdown(const std::vector<KeyInfo>& keys = recipe_key_infos());

/// One line a key, for a terminal.
std::string schema_table(const std::vector<KeyInfo>& keys = recipe_key_infos());

/// [{"key", "type", "default", "allowed", "required", "block", "meaning"}, ...]; block: the
/// optional block that the key is in, or null.
Json schema_json(const std::vector<KeyInfo>& keys = recipe_key_infos());

}  // namespace moesaic
