// The resolved recipe as YAML.
#include "config/recipe_reader.h"
#include "config/schema.h"
#include "core/error.h"

namespace moesaic {
namespace {

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> parts(1);
  for (const char c : path) {
    if (c == '.')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

std::string indented(const std::string& text, std::size_t spaces) {
  std::string result;
  for (const char c : text) {
    result += c;
    if (c == '\n') result.append(spaces, ' ');
  }
  return result;
}

}  // namespace

std::string to_yaml(const Recipe& recipe) {
  std::string text;
  std::vector<std::string> open;  // the section that the last line is in
  for (const Key& key : recipe_keys()) {
    const std::optional<std::string> value = key.write(recipe);
    if (!value) continue;
    const std::vector<std::string> parts = split(key.path);
    std::size_t level = 0;
    while (level + 1 < parts.size() && level < open.size() && open[level] == parts[level]) ++level;
    open.assign(parts.begin(), parts.end() - 1);
    for (; level + 1 < parts.size(); ++level)
      text += format("{:{}}{}:\n", "", 2 * level, parts[level]);
    const char* gap = value->front() == '\n' ? "" : " ";
    text +=
        format("{:{}}{}:{}{}\n", "", 2 * level, parts.back(), gap, indented(*value, 2 * level + 2));
  }
  return text;
}

}  // namespace moesaic
