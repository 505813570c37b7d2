// NamePattern: a regular expression that a name must match in full.
#pragma once

#include <regex>
#include <string>

namespace moesaic {

/// In the syntax of ECMAScript, without back references: no expression takes long.
class NamePattern {
 public:
  /// Error(kRecipe), saying why, for what is no such expression.
  explicit NamePattern(const std::string& text);

  bool matches(const std::string& name) const { return std::regex_match(name, regex_); }

 private:
  std::regex regex_;
};

}  // namespace moesaic
