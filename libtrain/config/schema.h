// The one description of every recipe key: path, type, default, what is allowed, meaning, and the
// field it is bound to. Reading, validation, overrides, the resolved recipe and the reference page
// all come from it, so a new key is added in schema.cpp alone (or the file of its block).
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/value.h"

namespace moesaic {

/// What there is to know about a key, whoever its owner is.
struct KeyInfo {
  std::string path;          // within the owner: "train.max_steps"
  std::string type;          // "integer"
  std::string default_text;  // "" = required
  std::string meaning;
  Rule rule;
  bool opens_block = false;               // the key is a block that may be absent
  std::string block;                      // path of the innermost such block it lies in, "" = none
  std::vector<KeyInfo> entries = {};      // of the structs in its value: "[].path", ".port"
  std::optional<std::string> unset = {};  // what `write` gives where nothing was read
};

template <class Owner>
struct KeyOf : KeyInfo {
  /// Reads the value into the owner; `name` is the key in messages: "data.train[0].path".
  std::function<void(Owner&, const YamlNode&, const std::string& name, ProblemList&)> read;
  /// YAML that reads back as the same; nothing when it is to be left out: an absent block has no
  /// keys.
  std::function<std::optional<std::string>(const Owner&)> write;
};
using Key = KeyOf<Recipe>;

/// The keys of a struct. A field of it that is a struct too is a section: its keys have dotted
/// paths. One that may be absent (std::optional) is a block, and its keys follow it.
template <class Owner>
struct Schema {
  std::string noun;     // one of a list of them: "source"
  std::string example;  // of one in a list: "{path: corpus/*.txt, format: text}"
  std::vector<KeyOf<Owner>> keys;
  /// What to say of a key that is not there; empty: the nearest name of its section.
  std::function<std::string(const std::string& section, const std::string& name)> unknown = {};

  /// The key of that path, or nullptr.
  const KeyOf<Owner>* find(const std::string& path) const {
    for (const auto& key : keys) {
      if (key.path == path) return &key;
    }
    return nullptr;
  }

  /// Names of the keys and sections right under `section` ("" = the whole); none when it is no
  /// section.
  std::vector<std::string> names_in(const std::string& section) const {
    const std::string prefix = section.empty() ? "" : section + ".";
    std::set<std::string> names;
    for (const auto& key : keys) {
      if (!key.path.starts_with(prefix)) continue;
      names.insert(
          key.path.substr(prefix.size(), key.path.find('.', prefix.size()) - prefix.size()));
    }
    return {names.begin(), names.end()};
  }

  std::string about_unknown(const std::string& section, const std::string& name) const {
    return unknown ? unknown(section, name) : "unknown key" + did_you_mean(name, names_in(section));
  }
};

/// The keys of a schema with `prefix` before their paths.
template <class Owner>
std::vector<KeyInfo> entries_below(const std::string& prefix, const Schema<Owner>& schema) {
  std::vector<KeyInfo> entries(schema.keys.begin(), schema.keys.end());
  for (KeyInfo& entry : entries) {
    entry.path.insert(0, prefix);
    if (!entry.block.empty()) entry.block.insert(0, prefix);
  }
  return entries;
}

/// The schema of each struct that has one. A new struct: one line here, its keys beside the others.
const Schema<Recipe>& schema_of(const Recipe*);
const Schema<SourceOptions>& schema_of(const SourceOptions*);
const Schema<ParameterGroupOptions>& schema_of(const ParameterGroupOptions*);
const Schema<LoraOptions>& schema_of(const LoraOptions*);
const Schema<EsftOptions>& schema_of(const EsftOptions*);
const Schema<AdaptOptions>& schema_of(const AdaptOptions*);
const Schema<ContinualTask>& schema_of(const ContinualTask*);
const Schema<ContinualOptions>& schema_of(const ContinualOptions*);
const Schema<PrivacyBudgetOptions>& schema_of(const PrivacyBudgetOptions*);
const Schema<PrivacyOptions>& schema_of(const PrivacyOptions*);
const Schema<SiloOptions>& schema_of(const SiloOptions*);
const Schema<TopKOptions>& schema_of(const TopKOptions*);
const Schema<SecureAggregationOptions>& schema_of(const SecureAggregationOptions*);
const Schema<ClientPrivacyOptions>& schema_of(const ClientPrivacyOptions*);
const Schema<FederatedOptions>& schema_of(const FederatedOptions*);
const Schema<PrometheusServer>& schema_of(const PrometheusServer*);

template <class T>
concept Described = requires(const T* owner) {
  schema_of(owner);
};

/// All keys, grouped by section, in the order of the reference page.
const std::vector<Key>& recipe_keys();

/// The key of that path, or nullptr.
const Key* find_key(const std::string& path);

/// Whether some key lies under `path`, as "train" has "train.max_steps".
bool is_section(const std::string& path);

/// What to say of `name` in the section `section` of a recipe, which is no key: that it
/// belongs to another section, or the nearest name here.
std::string about_unknown_key(const std::string& section, const std::string& name);

}  // namespace moesaic
