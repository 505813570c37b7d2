// How a struct that has a schema is read from a mapping and written: the recipe itself, one of a
// list of structs, one kind of a value. Structs may hold lists of structs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/schema.h"
#include "config/value_text.h"
#include "config/yaml_writer.h"
#include "core/format.h"

namespace moesaic {

/// Reads `node`, the section `section` of `owner` ("" = all of it), named `name` in messages.
template <class Owner>
void read_section(const Schema<Owner>& schema, const YamlNode& node, const std::string& section,
                  const std::string& name, Owner& owner, ProblemList& problems) {
  const auto under = [](const std::string& above, const std::string& word) {
    return above.empty() ? word : above + "." + word;
  };
  for (std::size_t i = 0; i < node.keys.size() && !problems.full(); ++i) {
    const auto& [word, place] = node.keys[i];
    const YamlNode& value = node.items[i];
    const std::string path = under(section, word), shown_path = under(name, word);
    const KeyOf<Owner>* key = schema.find(path);
    if (key != nullptr) key->read(owner, value, shown_path, problems);
    if (key != nullptr && !key->opens_block) continue;
    if (key == nullptr && schema.names_in(path).empty()) {
      problems.error(place, under(name, shortened(word)), schema.about_unknown(section, word));
    } else if (value.is_mapping()) {
      read_section(schema, value, path, shown_path, owner, problems);
    } else if (key == nullptr && !value.is_null()) {
      Slot{value, shown_path, {}, problems}.refuse("a mapping of its keys");
    }
  }
}

/// "a mapping {path: ...}"
template <Described T>
std::string expected_text(const Rule&, const T& owner) {
  const std::string first = schema_of(&owner).keys.front().path;
  return format("a mapping {{{}: ...}}", first.substr(0, first.find('.')));
}

template <Described T>
void read_value(const Slot& slot, T& field) {
  const Schema<T>& schema = schema_of(&field);
  if (!slot.node.is_mapping()) return slot.refuse(expected_text(slot.rule, field));
  read_section(schema, slot.node, "", slot.key, field, slot.problems);
  for (const KeyOf<T>& key : schema.keys) {
    if (!key.rule.required || slot.node.at(key.path) != nullptr) continue;
    const YamlNode* block = slot.node.at(key.block);
    if (block != nullptr && block->is_mapping())
      slot.problems.error(slot.node.place, slot.key, key.path + " is missing");
  }
}

template <Described T>
void read_value(const Slot& slot, std::vector<T>& field) {
  const Schema<T>& schema = schema_of(static_cast<const T*>(nullptr));
  if (slot.node.is_null() && !slot.rule.required) return field.clear();
  if (!slot.node.is_sequence()) return slot.refuse(format("a list such as [{}]", schema.example));
  field.clear();
  const Rule any;
  for (std::size_t i = 0; i < slot.node.items.size() && !slot.problems.full(); ++i) {
    const std::string name = format("{}[{}]", slot.key, i);
    read_value(Slot{slot.node.items[i], name, any, slot.problems}, field.emplace_back());
  }
  if (field.empty() && slot.rule.required) slot.refuse("at least one " + schema.noun);
}

/// All keys that have a value, in the order of the schema.
template <class T>
std::vector<WrittenKey> written_keys(const T& owner) {
  std::vector<WrittenKey> keys;
  for (const KeyOf<T>& key : schema_of(&owner).keys) {
    if (const auto value = key.write(owner)) keys.push_back({key.path, *value, key.opens_block});
  }
  return keys;
}

template <Described T>
std::optional<std::string> write_value(const T& value) {
  return yaml_mapping(written_keys(value));
}

template <Described T>
std::optional<std::string> write_value(const std::vector<T>& value) {
  if (value.empty()) return std::nullopt;
  std::string text;
  for (const T& entry : value) text += yaml_entry(yaml_mapping(written_keys(entry)));
  return text;
}

template <Described T>
std::string type_name(const T&) {
  return "mapping";
}
template <Described T>
std::string type_name(const std::vector<T>&) {
  return format("list of {}s", schema_of(static_cast<const T*>(nullptr)).noun);
}

/// The keys of the structs in a value, as the reference page shows them after the value's own.
template <class T>
std::vector<KeyInfo> entries_of(const T&) {
  return {};
}
template <Described T>
std::vector<KeyInfo> entries_of(const T& owner) {
  return entries_below(".", schema_of(&owner));
}
template <Described T>
std::vector<KeyInfo> entries_of(const std::vector<T>&) {
  return entries_below("[].", schema_of(static_cast<const T*>(nullptr)));
}

}  // namespace moesaic
