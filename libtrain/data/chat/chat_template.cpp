#include "data/chat/chat_template.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "core/error.h"
#include "data/chat/template_interpreter.h"
#include "data/chat/template_parser.h"
#include "data/text/unicode.h"

namespace moesaic {

using chat::Arguments;
using chat::Value;

namespace {

constexpr std::size_t kMostSourceBytes = 1U << 20;
constexpr std::int64_t kMostRange = 100'000;

Value function(Value (*body)(const Arguments&)) {
  Value value;
  value.call = body;
  return value;
}

Value make_range(const Arguments& a) {
  if (a.places.empty() || a.places.size() > 3) chat::refuse("range takes one to three numbers");
  std::int64_t numbers[3] = {0, 0, 1};
  for (std::size_t i = 0; i < a.places.size(); ++i)
    numbers[i] = chat::integer_of(a.places[i], "range");
  const std::int64_t begin = a.places.size() == 1 ? 0 : numbers[0],
                     end = a.places.size() == 1 ? numbers[0] : numbers[1];
  if (numbers[2] == 0) chat::refuse("range with step 0");
  Json all = Json::array();
  for (std::int64_t i = begin; numbers[2] > 0 ? i < end : i > end;) {
    all.push_back(i);
    if (std::ssize(all) > kMostRange) chat::refuse("a range of over 100,000 numbers");
    if (__builtin_add_overflow(i, numbers[2], &i)) break;
  }
  return Value::of(std::move(all));
}

Value make_namespace(const Arguments& a) {
  auto space = std::make_shared<chat::Space>(a.names);
  for (const Value& one : a.places) {
    if (!one.is_dict()) chat::refuse("namespace of what is no dict");
    for (const auto& item : one.json->items()) (*space)[item.key()] = one.part(item.value());
  }
  return {{}, std::move(space), {}, {}};
}

Value make_dict(const Arguments& a) {
  Json all = a.places.empty() ? Json::object() : chat::json_of(a.places[0]);
  for (const auto& [name, value] : a.names) all[name] = chat::json_of(value);
  return Value::of(std::move(all));
}

Value raise_exception(const Arguments& a) {
  chat::refuse("the template refuses the conversation: " +
               (a.places.empty() ? "" : printable(chat::to_text(a.places[0]), 500)));
}

Value time_now(const Arguments& a) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[256];
  const std::string pattern = a.places.empty() ? "" : chat::text_of(a.places[0], "strftime_now");
  return Value::of(std::string(text, std::strftime(text, sizeof text, pattern.c_str(), &local)));
}

bool has_generation(const chat::Body& body) {
  return std::any_of(body.begin(), body.end(), [](const chat::Statement& s) {
    return s.kind == chat::Statement::Kind::kGeneration || has_generation(s.body) ||
           has_generation(s.otherwise);
  });
}

}  // namespace

struct ChatTemplate::Parts {
  chat::Body body;
  std::string where;
  bool marks_generation = false;
};

ChatTemplate ChatTemplate::parse(std::string_view source, const std::string& where) {
  MOESAIC_CHECK(source.size() <= kMostSourceBytes, ErrorKind::kData,
                "{}: a template of {} bytes, of at most {}", where, source.size(),
                kMostSourceBytes);
  unicode::require_valid(source, where);
  ChatTemplate made;
  chat::Body body = chat::parse_template(source, where);
  const bool marks = has_generation(body);
  made.parts_ = std::make_shared<const Parts>(Parts{std::move(body), where, marks});
  return made;
}

bool ChatTemplate::marks_generation() const { return parts_->marks_generation; }

RenderedChat ChatTemplate::render_marked(const Json& messages, const Options& options) const {
  std::map<std::string, Value> globals = {{"range", function(make_range)},
                                          {"namespace", function(make_namespace)},
                                          {"dict", function(make_dict)},
                                          {"raise_exception", function(raise_exception)},
                                          {"strftime_now", function(time_now)}};
  globals["tools"] = globals["documents"] = Value::of(nullptr);
  for (const auto& [name, value] : options.variables.items()) globals[name] = Value::of(value);
  globals["messages"] = Value::of(messages);
  globals["add_generation_prompt"] = Value::of(options.add_generation_prompt);
  return chat::run_template(parts_->body, globals, parts_->where);
}

}  // namespace moesaic
