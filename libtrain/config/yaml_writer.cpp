#include "config/yaml_writer.h"

#include <algorithm>

#include "core/format.h"

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

bool fits_on_a_line(const WrittenKey& key) {
  return !key.opens_block && key.path.find('.') == std::string::npos &&
         key.value.find('\n') == std::string::npos;
}

}  // namespace

std::string yaml_lines(const std::vector<WrittenKey>& keys) {
  std::string text;
  std::vector<std::string> open;  // the section that the last line is in
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& [path, value, opens_block] = keys[i];
    // The line of a section that has keys comes with the first of them.
    if (opens_block && i + 1 < keys.size() && keys[i + 1].path.starts_with(path + ".")) continue;
    const std::vector<std::string> parts = split(path);
    std::size_t level = 0;
    while (level + 1 < parts.size() && level < open.size() && open[level] == parts[level]) ++level;
    open.assign(parts.begin(), parts.end() - 1);
    for (; level + 1 < parts.size(); ++level)
      text += format("{:{}}{}:\n", "", 2 * level, parts[level]);
    const char* gap = value.front() == '\n' ? "" : " ";
    text +=
        format("{:{}}{}:{}{}\n", "", 2 * level, parts.back(), gap, indented(value, 2 * level + 2));
  }
  return text;
}

std::string yaml_mapping(const std::vector<WrittenKey>& keys) {
  if (!std::all_of(keys.begin(), keys.end(), fits_on_a_line)) {
    std::string lines = "\n";
    lines += yaml_lines(keys);
    lines.pop_back();
    return lines;
  }
  std::vector<std::string> parts;
  for (const WrittenKey& key : keys) parts.push_back(format("{}: {}", key.path, key.value));
  return format("{{{}}}", join(parts, ", "));
}

std::string yaml_entry(const std::string& mapping) {
  const bool one_line = mapping.front() != '\n';
  return "\n- " + (one_line ? mapping : indented(mapping.substr(1), 2));
}

}  // namespace moesaic
