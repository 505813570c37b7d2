#include "config/yaml_leaves.h"

#include <algorithm>

#include "core/format.h"

namespace moesaic {
namespace {

using Leaves = std::vector<std::pair<std::string, std::string>>;

bool is_plain_list(const YamlNode& node) {
  return node.is_sequence() &&
         std::all_of(node.items.begin(), node.items.end(),
                     [](const YamlNode& item) { return item.is_scalar() || item.is_null(); });
}

std::string leaf_text(const YamlNode& node) { return node.is_null() ? "null" : node.text; }

void collect_leaves(const YamlNode& node, const std::string& path, Leaves& leaves) {
  if (is_plain_list(node)) {
    std::vector<std::string> texts;
    for (const YamlNode& item : node.items) texts.push_back(leaf_text(item));
    leaves.emplace_back(path, format("[{}]", join(texts, ", ")));
  } else if (node.is_sequence()) {
    for (std::size_t i = 0; i < node.items.size(); ++i)
      collect_leaves(node.items[i], format("{}[{}]", path, i), leaves);
  } else if (node.is_mapping()) {
    for (std::size_t i = 0; i < node.items.size(); ++i)
      collect_leaves(node.items[i],
                     path.empty() ? node.keys[i].text : path + "." + node.keys[i].text, leaves);
  } else {
    leaves.emplace_back(path, leaf_text(node));
  }
}

}  // namespace

Leaves yaml_leaves(const YamlNode& root) {
  Leaves leaves;
  if (!root.is_null()) collect_leaves(root, "", leaves);
  return leaves;
}

}  // namespace moesaic
