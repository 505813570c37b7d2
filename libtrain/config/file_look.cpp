#include "config/file_look.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

#include "core/file_kind.h"
#include "core/json.h"

namespace moesaic {
namespace {

using Kind = FileLook::Kind;

constexpr std::size_t kHeadBytes = 4096;
constexpr std::size_t kLineBytes = std::size_t{1} << 20U;  // of a first line of JSON
constexpr std::size_t kMostKeys = 1000;                    // of its object
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The first bytes of a regular file; nothing else is opened, for a pipe would wait.
std::string head_of(const std::string& path, std::size_t bytes) {
  std::error_code code;
  MOESAIC_CHECK(std::filesystem::is_regular_file(path, code), ErrorKind::kData,
                "cannot read {}: it is not a regular file", path);
  std::ifstream file(path, std::ios::binary);
  MOESAIC_CHECK(file.is_open(), ErrorKind::kData, "cannot read {}: it cannot be opened", path);
  std::string head(bytes, '\0');
  file.read(head.data(), static_cast<std::streamsize>(bytes));
  head.resize(static_cast<std::size_t>(file.gcount()));
  return head;
}

// Keys of the JSON value that `line` is, or begins like where it is not `whole`; nothing for what
// is no JSON. No value is kept.
std::optional<std::vector<std::string>> keys_of(std::string_view line, bool whole) {
  using Event = Json::parse_event_t;
  std::vector<std::string> keys;
  const auto note = [&](int depth, Event event, const Json& value) {
    const bool is_key = event == Event::key;
    if (is_key && depth == 1 && keys.size() < kMostKeys) keys.push_back(value.get<std::string>());
    return depth == 0;
  };
  const Json json = Json::parse(line.begin(), line.end(), note, /*allow_exceptions=*/false);
  if (whole ? json.is_discarded() : keys.empty()) return std::nullopt;
  return keys;
}

bool has(const std::vector<std::string>& keys, const char* key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

std::string some_of(const std::vector<std::string>& keys) {
  constexpr std::size_t kMost = 5, kLongest = 40;
  if (keys.empty()) return "an object without keys";
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(kMost, keys.size()); ++i)
    shown.push_back(format("\"{}\"", printable(keys[i], kLongest)));
  return format("an object with {}{}", join(shown, ", "), keys.size() > kMost ? " ..." : "");
}

// `text` begins with { or [; `at_end`: it is the rest of the file.
void look_at_json(std::string_view text, bool at_end, FileLook& found) {
  const std::size_t end = text.find('\n');
  const bool whole = end != std::string_view::npos || at_end;
  const auto keys = keys_of(text.substr(0, end), whole);
  found.kind = Kind::kJsonBegin;
  if (!keys) return;
  if (has(*keys, "text") && has(*keys, "ids")) {
    found.kind = Kind::kBothLines;
  } else if (has(*keys, "text") || has(*keys, "ids")) {
    found.kind = has(*keys, "text") ? Kind::kTextLines : Kind::kIdLines;
  } else if (has(*keys, "messages") || has(*keys, "conversations")) {
    found.kind = Kind::kChatLines;
  } else if (has(*keys, "prompt") && has(*keys, "completion")) {
    found.kind = Kind::kPromptLines;
  } else if (whole) {
    found.kind = Kind::kOtherJson;
    found.what = text.front() == '[' ? "an array" : some_of(*keys);
  }
}

void look_at_text(std::string head, FileLook& found) {
  std::size_t asked = kHeadBytes;
  const std::size_t begin = head.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const std::size_t first = head.find_first_not_of(" \t\r\n", begin);
  if (first == std::string::npos) {
    if (head.size() < asked) found.kind = Kind::kEmpty;
    return;
  }
  if (head[first] != '{' && head[first] != '[') return;
  if (head.size() == asked && head.find('\n', first) == std::string::npos)
    head = head_of(found.path, asked = kLineBytes);
  if (head.size() <= first) return;  // somebody writes to it
  const auto lines =
      std::count(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(first), '\n');
  found.line += static_cast<int>(lines);
  look_at_json(std::string_view(head).substr(first), head.size() < asked, found);
}

}  // namespace

FileLook look_at(const std::string& path) {
  FileLook found;
  found.path = path;
  std::string head = head_of(path, kHeadBytes);
  const auto kind = file_kind(head);
  if (!kind) {
    look_at_text(std::move(head), found);
    return found;
  }
  constexpr std::size_t kMark = 8;  // a byte order mark, and one character
  const bool is_json = head.substr(0, kMark).find('{') != std::string::npos;
  found.kind = is_token_file(head)              ? Kind::kTokenFile
               : is_wide_text(head) && !is_json ? Kind::kWideText
                                                : Kind::kForeign;
  found.what = kind->name;
  found.remedy = kind->remedy;
  return found;
}

std::string extension_of(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool is_named_lines(const std::string& path) {
  const std::string extension = extension_of(path);
  return extension == ".jsonl" || extension == ".ndjson" || extension == ".jsonlines";
}

}  // namespace moesaic
