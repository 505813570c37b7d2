// The one description of every recipe key: path, type, default, what is allowed, meaning, and the
// field it is bound to. Reading, validation, overrides, the resolved recipe and the reference page
// all come from it, so a new key is added in schema.cpp alone.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/value.h"

namespace moesaic {

template <class Owner>
struct KeyOf {
  std::string path;          // "train.max_steps"
  std::string type;          // "integer"
  std::string default_text;  // "" = required or absent
  std::string meaning;
  Rule rule;
  std::function<void(Owner&, const YamlNode&, const std::string& key, ProblemList&)> read;
  std::function<std::optional<std::string>(const Owner&)> write;
};
using Key = KeyOf<Recipe>;

/// All keys, grouped by section, in the order of the reference page.
const std::vector<Key>& recipe_keys();

/// Keys of one entry of `data.train` and `data.valid`.
const std::vector<KeyOf<SourceOptions>>& source_keys();

/// The key of that path, or nullptr.
const Key* find_key(const std::string& path);

/// Whether some key lies under `path`, as "train" has "train.max_steps".
bool is_section(const std::string& path);

/// Reports `name` in the section `prefix` ("" = top level) as unknown: a key of a later version, a
/// key of another section, or the nearest name here.
void refuse_unknown_key(const std::string& prefix, const std::string& name, const Place& place,
                        ProblemList& problems);

}  // namespace moesaic
