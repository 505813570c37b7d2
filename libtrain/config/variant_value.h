// A value that may be of several kinds, std::variant: `false | textfile | {port: N}`. The first
// alternative whose form the YAML has is the one that is read, and its messages are the ones given.
#pragma once

#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "config/struct_value.h"

namespace moesaic {

void read_value(const Slot& slot, Off& field);
inline std::optional<std::string> write_value(Off) { return "false"; }
inline std::string type_name(Off) { return "false"; }
inline std::string expected_text(const Rule&, Off) { return "false"; }

/// Whether the YAML has the form of a value of that type; a text must also be one of the choices.
bool has_form(const Slot& slot, Off);
bool has_form(const Slot& slot, bool);
bool has_form(const Slot& slot, std::int64_t);
bool has_form(const Slot& slot, double);
bool has_form(const Slot& slot, const std::string&);
template <class T>
bool has_form(const Slot& slot, const std::vector<T>&) {
  return slot.node.is_sequence();
}
template <class T>
bool has_form(const Slot& slot, const std::map<std::string, T>&) {
  return slot.node.is_mapping();
}
template <class T>
bool has_form(const Slot& slot, const NamedValues<T>&) {
  return slot.node.is_mapping();
}
template <Described T>
bool has_form(const Slot& slot, const T&) {
  return slot.node.is_mapping();
}

/// "expected false, textfile or a mapping {port: ...}, got 'x' (did you mean ...?)"
void refuse_kind(const Slot& slot, const std::vector<std::string>& expected);

template <class... T>
void read_value(const Slot& slot, std::variant<T...>& field) {
  bool taken = false;
  const auto take = [&](auto value) {
    if (taken || !has_form(slot, value)) return;
    taken = true;
    const std::size_t before = slot.problems.size();
    read_value(slot, value);
    if (slot.problems.size() == before) field = std::move(value);
  };
  (take(T{}), ...);
  if (!taken) refuse_kind(slot, {expected_text(slot.rule, T{})...});
}

template <class... T>
std::optional<std::string> write_value(const std::variant<T...>& value) {
  return std::visit([](const auto& kind) { return write_value(kind); }, value);
}

/// "false or text or mapping"
template <class First, class... Rest>
std::string type_name(const std::variant<First, Rest...>&) {
  return (type_name(First{}) + ... + (" or " + type_name(Rest{})));
}

template <class... T>
std::vector<KeyInfo> entries_of(const std::variant<T...>&) {
  std::vector<KeyInfo> all;
  const auto append = [&all](const std::vector<KeyInfo>& some) {
    all.insert(all.end(), some.begin(), some.end());
  };
  (append(entries_of(T{})), ...);
  return all;
}
template <class T>
std::vector<KeyInfo> entries_of(const std::optional<T>&) {
  return entries_of(T{});
}

}  // namespace moesaic
