// Strict, bounded reading of one YAML document into a plain tree with places. Refuses what a recipe
// must not hold: duplicate keys, anchors, aliases, tags, merge keys, several documents, over-deep
// or over-long input.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"

namespace moesaic {

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  struct Key {
    std::string text;
    Place place;
  };

  Kind kind = Kind::kNull;
  std::string text;     // of a scalar
  bool quoted = false;  // a quoted or block scalar is text, whatever it looks like
  Place place;
  std::vector<Key> keys;        // of a mapping, one for each of `items`
  std::vector<YamlNode> items;  // of a sequence or mapping

  bool is_null() const { return kind == Kind::kNull; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_sequence() const { return kind == Kind::kSequence; }
  bool is_mapping() const { return kind == Kind::kMapping; }

  /// Value of `key` in a mapping, or nullptr.
  const YamlNode* find(std::string_view key) const;

  /// The value at a dotted path of mappings, or nullptr; "" = the node itself.
  const YamlNode* at(std::string_view path) const;

  /// What it is, for messages: "nothing", "'text'", "a list", "a mapping".
  std::string shown() const;
};

struct YamlLimits {
  std::size_t bytes = std::size_t{1} << 20;
  std::size_t nodes = 100000;
  std::size_t depth = 32;
};

/// Parses `text`. Places name `source`; with `positions` false (a value of the command line) they
/// have no line. Mistakes go to `problems`; after a syntax error the result is a null node.
YamlNode parse_yaml(std::string_view text, const std::string& source, ProblemList& problems,
                    bool positions = true, const YamlLimits& limits = {});

}  // namespace moesaic
