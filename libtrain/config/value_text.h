// What messages and the reference page say of a value of each C++ type.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/value.h"

namespace moesaic {

/// Name of the type for people: "integer", "number" ...
inline std::string type_name(bool) { return "true or false"; }
inline std::string type_name(std::int64_t) { return "integer"; }
inline std::string type_name(std::uint64_t) { return "integer"; }
inline std::string type_name(double) { return "number"; }
inline std::string type_name(const std::string&) { return "text"; }
inline std::string type_name(const Json&) { return "mapping"; }
template <class T>
std::string type_name(const std::vector<T>&) {
  return "list of " + type_name(T{}) + "s";
}
template <class T>
std::string type_name(const std::map<std::string, T>&) {
  return "mapping of names to " + type_name(T{}) + "s";
}
template <class T>
std::string type_name(const NamedValues<T>&) {
  return "mapping of names to " + type_name(T{}) + "s";
}
template <class First, class... Rest>  // in variant_value.h
std::string type_name(const std::variant<First, Rest...>&);
template <class T>
std::string type_name(const std::optional<T>&) {
  return type_name(T{});
}

/// What a value of the type looks like, for messages: "an integer >= 1", "a list of texts".
std::string expected_text(const Rule& rule, bool);
std::string expected_text(const Rule& rule, std::int64_t);
std::string expected_text(const Rule& rule, std::uint64_t);
std::string expected_text(const Rule& rule, double);
std::string expected_text(const Rule& rule, const std::string&);
template <class T>
std::string expected_text(const Rule& rule, const std::vector<T>& list) {
  return rule.count > 0 ? "a list of " + std::to_string(rule.count) + type_name(list).substr(7)
                        : "a " + type_name(list);
}
template <class T>
std::string expected_text(const Rule&, const std::map<std::string, T>& map) {
  return "a " + type_name(map);
}

template <class T>
std::string expected_text(const Rule&, const NamedValues<T>& map) {
  return "a " + type_name(map);
}

/// The range or choices of a rule: ">= 1", "adamw, sgd", or "" for any value.
std::string allowed_text(const Rule& rule);

}  // namespace moesaic
