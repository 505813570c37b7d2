// Keys and their values as YAML.
#pragma once

#include <string>
#include <vector>

namespace moesaic {

struct WrittenKey {
  std::string path;          // dotted; keys of a section stand together
  std::string value;         // a value of several lines begins with a line break
  bool opens_block = false;  // its keys, if any, follow
};

/// A line for each key or section.
std::string yaml_lines(const std::vector<WrittenKey>& keys);

/// As a value: "{a: 1, b: 2}" where that is possible, else lines after a line break.
std::string yaml_mapping(const std::vector<WrittenKey>& keys);

/// Such a value as one of a list: "\n- {a: 1}".
std::string yaml_entry(const std::string& mapping);

}  // namespace moesaic
