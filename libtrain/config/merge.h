// Trees of YAML laid over each other: `extends` and the overrides of the command line.
#pragma once

#include <string>

#include "config/yaml_reader.h"

namespace moesaic {

/// Mappings merge key by key; anything else in `over` takes the place of what `base` has. A null
/// takes a value back to its default.
YamlNode merge(YamlNode base, YamlNode over);

/// One override "a.b=value" as a tree to be merged; a null node and a problem when it is none.
YamlNode parse_override(const std::string& text, ProblemList& problems);

}  // namespace moesaic
