// The keys by which two recipes, or two structs with a schema, differ.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/schema.h"

namespace moesaic {

struct Difference {
  std::string path, before, after;  // values as YAML, "absent" or, of a block, "present"
};

/// In the order of the schema. Where only one of them has an optional block, the block is named and
/// none of its keys: a key that is absent with its block is not one that has its default.
template <class T>
std::vector<Difference> differences(const T& before, const T& after) {
  std::vector<Difference> found;
  std::string named;  // such a block
  for (const KeyOf<T>& key : schema_of(&before).keys) {
    if (!named.empty() && key.path.starts_with(named)) continue;
    const std::optional<std::string> a = key.write(before), b = key.write(after);
    if (a == b) continue;
    const auto text = [&key](const std::optional<std::string>& value) {
      return !value ? "absent" : key.opens_block && *value == "{}" ? "present" : *value;
    };
    found.push_back({key.path, text(a), text(b)});
    if (key.opens_block) named = key.path + ".";
  }
  return found;
}

}  // namespace moesaic
