// The values of a YAML tree as one list, so that recipes of any version can be compared.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/yaml_reader.h"

namespace moesaic {

/// Dotted path and text of every scalar, in the order of the tree: {"data.train[0].path", "a.txt"}.
/// A list of scalars is one value, "[0.9, 0.95]"; nothing is "null".
std::vector<std::pair<std::string, std::string>> yaml_leaves(const YamlNode& root);

}  // namespace moesaic
