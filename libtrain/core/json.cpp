#include "core/json.h"

#include <algorithm>
#include <set>
#include <vector>

#include "core/fs.h"

namespace moesaic {
namespace {

// Sees the events of the parser before it builds values; throws at a limit and at a duplicate key.
class Guard {
 public:
  Guard(const std::string& where, ErrorKind kind, const JsonLimits& limits)
      : where_(where), kind_(kind), limits_(limits) {}

  void operator()(Json::parse_event_t event, const Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event != Event::key) return;
    const auto& key = value.get_ref<const std::string&>();
    MOESAIC_CHECK(keys_.back().insert(key).second, kind_, "{}: duplicate key '{}'", where_,
                  printable(key));
    MOESAIC_CHECK(keys_.back().size() <= limits_.members, kind_,
                  "{}: an object of more than {} keys", where_, limits_.members);
  }

 private:
  const std::string& where_;
  ErrorKind kind_;
  const JsonLimits& limits_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

std::string printable(std::string_view text, std::size_t longest) {
  std::string shown(text.substr(0, longest));
  if (text.size() > longest) shown += "...";
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown;
}

std::string json_reason(std::string_view what) {
  const std::size_t preamble = what.find("] ");
  return printable(what.substr(preamble == std::string_view::npos ? 0 : preamble + 2));
}

void check_json_text(std::string_view text, const std::string& where, ErrorKind kind,
                     const JsonLimits& limits) {
  MOESAIC_CHECK(text.size() <= limits.bytes, kind, "{}: {} bytes of JSON, at most {} are read",
                where, text.size(), limits.bytes);
  int depth = 0;
  bool quoted = false;
  std::size_t start = 0;  // of the token
  std::size_t values = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    MOESAIC_CHECK(i - start <= limits.token, kind,
                  "{}: a piece of JSON of more than {} bytes at byte {}", where, limits.token,
                  start);
    if (quoted) {
      if (c == '\\') ++i;
      if (c != '"') continue;
      quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ++values;
      MOESAIC_CHECK(++depth <= limits.depth, kind, "{}: JSON nested deeper than {} levels", where,
                    limits.depth);
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',') {
      ++values;
    } else if (c != ':') {
      continue;
    }
    start = i;
    MOESAIC_CHECK(values <= limits.values, kind, "{}: JSON of more than {} values", where,
                  limits.values);
  }
}

Json parse_json(std::string_view text, const std::string& where, ErrorKind kind,
                const JsonLimits& limits) {
  check_json_text(text, where, kind, limits);  // the parser never sees a bomb
  Guard guard(where, kind, limits);
  try {
    return Json::parse(text, [&guard](int, Json::parse_event_t event, const Json& parsed) {
      guard(event, parsed);
      return true;
    });
  } catch (const nlohmann::json::exception& error) {
    throw Error(kind, format("{}: invalid JSON: {}", where, json_reason(error.what())));
  }
}

Json read_json(const std::string& path, ErrorKind kind, const JsonLimits& limits) {
  return parse_json(read_file(path, kind, limits.bytes), path, kind, limits);
}

}  // namespace moesaic
