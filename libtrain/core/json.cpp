#include "core/json.h"

#include <set>
#include <vector>

#include "core/fs.h"

namespace moesaic {
namespace {

// Stops the parser at the depth limit and at a duplicate key; keeps which one it was.
class Guard {
 public:
  explicit Guard(int depth) : depth_(depth) {}

  bool operator()(int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    if (depth > depth_ && problem.empty()) {
      problem = format("nested deeper than {} levels", depth_);
    }
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end && !keys_.empty()) keys_.pop_back();
    if (event == Event::key && !keys_.empty() && problem.empty()) {
      const auto key = value.get<std::string>();
      if (!keys_.back().insert(key).second) problem = format("duplicate key '{}'", key);
    }
    return problem.empty();
  }

  std::string problem;

 private:
  int depth_;
  std::vector<std::set<std::string>> keys_;
};

// The parser recurses no deeper than its input; count brackets first so that it never sees a bomb.
bool deeper_than(std::string_view text, int limit) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limit) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where, ErrorKind kind,
                const JsonLimits& limits) {
  MOESAIC_CHECK(text.size() <= limits.bytes, kind, "{}: {} bytes of JSON, at most {} are read",
                where, text.size(), limits.bytes);
  MOESAIC_CHECK(!deeper_than(text, limits.depth), kind, "{}: JSON nested deeper than {} levels",
                where, limits.depth);
  Guard guard(limits.depth);
  try {
    Json value = Json::parse(text, [&guard](int depth, Json::parse_event_t event, Json& parsed) {
      return guard(depth, event, parsed);
    });
    MOESAIC_CHECK(guard.problem.empty(), kind, "{}: {}", where, guard.problem);
    return value;
  } catch (const nlohmann::json::exception& error) {
    std::string reason = error.what();
    reason = reason.substr(reason.find("] ") == std::string::npos ? 0 : reason.find("] ") + 2);
    throw Error(kind, format("{}: invalid JSON: {}", where, reason));
  }
}

Json read_json(const std::string& path, ErrorKind kind, const JsonLimits& limits) {
  return parse_json(read_file(path, kind, limits.bytes), path, kind, limits);
}

}  // namespace moesaic
