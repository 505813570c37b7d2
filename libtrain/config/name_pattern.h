// Patterns for names of parameters and modules, as the block adapt has them.
#pragma once

#include <regex>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "core/error.h"

namespace moesaic {

/// A mistake in the value of a key. what() begins with the key.
class KeyError : public Error {
 public:
  KeyError(const std::string& key, const std::string& message);
  const std::string& key() const { return key_; }
  const std::string& message() const { return message_; }

 private:
  std::string key_, message_;
};

/// The path of the module that a parameter belongs to: the name without its last part.
std::string module_of(const std::string& parameter);

/// What a pattern may call a parameter or a module: its name, and with gate_proj, up_proj,
/// down_proj for the w1, w3, w2 of Mixtral's experts.
std::vector<std::string> names_in_patterns(const std::string& name);

/// A regular expression (ECMAScript, without back references: none takes long).
class NamePattern {
 public:
  /// KeyError with `key` when it is none.
  NamePattern(const std::string& key, const std::string& text);
  /// The whole name.
  bool matches(const std::string& name) const;
  /// The whole name, or what follows one of its dots.
  bool matches_end(const std::string& name) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::regex whole_, end_;
};

/// ModuleNames, and which of them have matched.
class ModuleMatcher {
 public:
  /// KeyError with `key` when a regular expression is none.
  ModuleMatcher(std::string key, const ModuleNames& names);
  /// A module is also named by what holds it, where that is the experts: "experts" takes
  /// "...mlp.experts.gate_proj".
  bool matches(const std::string& module);
  bool empty() const { return used_.empty(); }
  /// KeyError naming one that has matched nothing; `what` it should have: "a linear map".
  void require_all_used(const std::string& what) const;

 private:
  std::string key_;
  std::vector<std::string> ends_;
  std::vector<NamePattern> patterns_;  // of a regular expression: one
  std::vector<bool> used_;
};

}  // namespace moesaic
