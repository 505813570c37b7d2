// How a value of each C++ type is read from YAML, checked and written. The schema joins these to
// the fields of the recipe.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/recipe.h"
#include "config/yaml_reader.h"

namespace moesaic {

/// What a key allows. Fields that a type has no use for stay at their defaults.
struct Rule {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above_least = false;               // the bound `least` itself is not allowed
  bool below_most = false;                // nor is `most`
  std::size_t count = 0;                  // values of a list, 0 = any number
  std::vector<std::string> choices = {};  // of a text, empty = any
  std::vector<std::string> later = {};    // choices of the design that this version does not have
  bool path = false;                      // a text that is made absolute
  bool required = false;
  std::string default_text = {};  // shown instead of the field's own default
};

/// The value of `key`, to be read into a field.
struct Slot {
  const YamlNode& node;
  const std::string& key;
  const Rule& rule;
  ProblemList& problems;

  void refuse(const std::string& expected) const;  // "expected ..., got ..."
};

/// A mistake leaves `field` as it is and becomes a problem.
void read_value(const Slot& slot, bool& field);
void read_value(const Slot& slot, std::int64_t& field);
void read_value(const Slot& slot, std::uint64_t& field);
void read_value(const Slot& slot, double& field);
void read_value(const Slot& slot, std::string& field);
void read_value(const Slot& slot, std::vector<double>& field);
void read_value(const Slot& slot, std::vector<std::int64_t>& field);
void read_value(const Slot& slot, std::vector<std::string>& field);
void read_value(const Slot& slot, NamedValues<std::int64_t>& field);
void read_value(const Slot& slot, NamedValues<double>& field);
void read_value(const Slot& slot, std::map<std::string, std::string>& field);
void read_value(const Slot& slot, Json& field);

template <class T>
void read_value(const Slot& slot, std::optional<T>& field) {
  if (slot.node.is_null()) return field.reset();
  T value = field.value_or(T{});
  const std::size_t before = slot.problems.size();
  read_value(slot, value);
  if (slot.problems.size() == before) field = value;
}

/// YAML text that reads back as the value; several lines for a block; nothing when the key is to be
/// left out.
std::optional<std::string> write_value(bool value);
std::optional<std::string> write_value(std::int64_t value);
std::optional<std::string> write_value(std::uint64_t value);
std::optional<std::string> write_value(double value);
std::optional<std::string> write_value(const std::string& value);
std::optional<std::string> write_value(const std::vector<double>& value);
std::optional<std::string> write_value(const std::vector<std::int64_t>& value);
std::optional<std::string> write_value(const std::vector<std::string>& value);
std::optional<std::string> write_value(const NamedValues<std::int64_t>& value);
std::optional<std::string> write_value(const NamedValues<double>& value);
std::optional<std::string> write_value(const std::map<std::string, std::string>& value);
std::optional<std::string> write_value(const Json& value);
template <class... T>  // in variant_value.h
std::optional<std::string> write_value(const std::variant<T...>& value);

template <class T>
std::optional<std::string> write_value(const std::optional<T>& value) {
  return value ? write_value(*value) : std::nullopt;
}

}  // namespace moesaic
