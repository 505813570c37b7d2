#include "config/merge.h"

#include <unordered_map>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostParts = 16;

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (std::size_t dot; (dot = path.find('.', start)) != std::string::npos; start = dot + 1) {
    parts.push_back(path.substr(start, dot - start));
  }
  parts.push_back(path.substr(start));
  return parts;
}

bool is_path(const std::vector<std::string>& parts) {
  if (parts.size() > kMostParts) return false;
  for (const std::string& part : parts) {
    if (part.empty()) return false;
  }
  return true;
}

}  // namespace

YamlNode merge(YamlNode base, YamlNode over) {
  if (!base.is_mapping() || !over.is_mapping()) return over;
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < base.keys.size(); ++i) index.emplace(base.keys[i].text, i);
  for (std::size_t i = 0; i < over.keys.size(); ++i) {
    const auto found = index.find(over.keys[i].text);
    if (found == index.end()) {
      base.keys.push_back(std::move(over.keys[i]));
      base.items.push_back(std::move(over.items[i]));
      continue;
    }
    base.keys[found->second] = std::move(over.keys[i]);
    YamlNode& item = base.items[found->second];
    item = merge(std::move(item), std::move(over.items[i]));
  }
  base.place = std::move(over.place);
  return base;
}

YamlNode parse_override(const std::string& text, ProblemList& problems) {
  const std::size_t equals = text.find('=');
  const Place place{std::make_shared<const std::string>("command line"), 0, 0};
  if (equals == std::string::npos) {
    problems.error(place, "", format("expected KEY=VALUE, got {}", shown(text)));
    return {};
  }
  const std::string path = text.substr(0, equals);
  std::vector<std::string> parts = split(path);
  if (!is_path(parts)) {
    problems.error(place, "", format("{} is not the name of a key", shown(path)));
    return {};
  }
  ProblemList found;
  YamlNode node = parse_yaml(text.substr(equals + 1), *place.source, found, false);
  for (const Problem& problem : found.sorted()) problems.error(place, path, problem.message);
  if (found.has_errors()) return {};
  for (; !parts.empty(); parts.pop_back()) {
    YamlNode parent;
    parent.kind = YamlNode::Kind::kMapping;
    parent.place = place;
    parent.keys.push_back({parts.back(), place});
    parent.items.push_back(std::move(node));
    node = std::move(parent);
  }
  return node;
}

}  // namespace moesaic
