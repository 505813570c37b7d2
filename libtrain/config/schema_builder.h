// How the keys of a struct are bound to its fields: what schema.cpp and the files of the blocks are
// written with.
#pragma once

#include <memory>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "config/struct_value.h"
#include "config/variant_value.h"

namespace moesaic {

// The path of a key is the path of its field, so the two cannot differ; NAMED is for a key that
// cannot be the name of a field, such as `private`.
#define NAMED(path, member) \
  path, [](auto& owner) -> auto& { return owner.member; }
#define FIELD(member) NAMED(#member, member)

namespace rules {

inline Rule required() { return {.required = true}; }
inline Rule path(std::string default_text = "") {
  return {.path = true, .default_text = std::move(default_text)};
}
inline Rule one_of(std::vector<std::string> choices, std::vector<std::string> later = {}) {
  return {.choices = std::move(choices), .later = std::move(later)};
}
inline Rule from(double least, double most) { return {.least = least, .most = most}; }
inline Rule positive() { return {.least = 0.0, .above_least = true}; }

inline constexpr double kMostSequences = 1e9;  // keeps products of sizes within 64 bits
inline constexpr double kMostSteps = 1e12;
inline Rule size() { return from(1, kMostSequences); }
inline Rule steps() { return from(0, kMostSteps); }

}  // namespace rules

/// A struct as it is where nothing is given. (One object, not one a key: that made the schema slow to
/// compile.)
template <class Owner>
const Owner& defaults_of() {
  // (On the heap: GCC 12 warns of parts that are not initialised where it sees them on the stack.)
  static const std::unique_ptr<const Owner> defaults = std::make_unique<Owner>();
  return *defaults;
}

/// Adds the key of a field of any type that value.h, variant_value.h or struct_value.h reads.
template <class Owner, class Access>
void add_key(std::vector<KeyOf<Owner>>& keys, std::string path, Access access, Rule rule,
             std::string meaning) {
  const Owner& defaults = defaults_of<Owner>();
  KeyOf<Owner> key;
  key.path = std::move(path);
  key.type = type_name(access(defaults));
  if (const std::size_t text = key.type.find("text"); rule.path && text != std::string::npos)
    key.type.replace(text, 4, "path");
  key.unset = write_value(access(defaults));
  if (!rule.required) key.default_text = key.unset.value_or(rule.default_text);
  if (key.default_text.empty() && !rule.required) key.default_text = "absent";
  key.meaning = std::move(meaning);
  key.rule = rule;
  key.entries = entries_of(access(defaults));
  key.read = [access, rule](Owner& owner, const YamlNode& node, const std::string& name,
                            ProblemList& problems) {
    read_value(Slot{node, name, rule, problems}, access(owner));
  };
  key.write = [access, unset = key.unset](const Owner& owner) {
    const std::optional<std::string> written = write_value(access(owner));
    return !written && unset ? "null" : written;  // what is left out would get its default back
  };
  keys.push_back(std::move(key));
}

/// A key of a block as one of the block's owner.
template <class Owner, class Access, class Block>
KeyOf<Owner> lifted(const std::string& path, Access access, const KeyOf<Block>& inner) {
  KeyOf<Owner> key;
  static_cast<KeyInfo&>(key) = inner;
  key.path = path + "." + inner.path;
  key.block = inner.block.empty() ? path : path + "." + inner.block;
  key.read = [access, read = inner.read](Owner& owner, const YamlNode& node,
                                         const std::string& name, ProblemList& problems) {
    if (!access(owner)) access(owner).emplace();
    read(*access(owner), node, name, problems);
  };
  key.write = [access, write = inner.write](const Owner& owner) {
    return access(owner) ? write(*access(owner)) : std::nullopt;
  };
  return key;
}

/// Adds a block that may be absent, a field std::optional<Struct>, with all keys of the struct.
/// `{}` makes it present, null takes it away.
template <class Owner, class Access>
void add_block(std::vector<KeyOf<Owner>>& keys, std::string path, Access access,
               std::string meaning) {
  using Block = typename std::remove_cvref_t<decltype(access(std::declval<Owner&>()))>::value_type;
  const Owner& defaults = defaults_of<Owner>();
  const bool present = access(defaults).has_value();
  KeyOf<Owner> block;
  block.path = path;
  block.type = "optional block";
  block.default_text = present ? "{}" : "absent";
  block.meaning = std::move(meaning);
  block.opens_block = true;
  block.unset = present ? std::optional<std::string>("{}") : std::nullopt;
  block.read = [access](Owner& owner, const YamlNode& node, const std::string& name,
                        ProblemList& problems) {
    if (node.is_null()) return access(owner).reset();
    if (!node.is_mapping()) return Slot{node, name, {}, problems}.refuse("a mapping of its keys");
    if (!access(owner)) access(owner).emplace();
  };
  block.write = [access, unset = block.unset](const Owner& owner) {
    if (access(owner)) return std::optional<std::string>("{}");
    return unset ? std::optional<std::string>("null") : std::nullopt;
  };
  keys.push_back(std::move(block));
  for (const KeyOf<Block>& inner : schema_of(static_cast<const Block*>(nullptr)).keys)
    keys.push_back(lifted<Owner>(path, access, inner));
}

}  // namespace moesaic
