// Values of a chat template, as Python has them: none, booleans, numbers, texts, lists and dicts
// are JSON; beside these there are the undefined value, namespaces, and what can be called.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace moesaic::chat {

struct Value;

/// No text that a template makes is longer.
inline constexpr std::size_t kMostTextBytes = 16U << 20;

/// Arguments of a call, a filter or a test.
struct Arguments {
  std::vector<Value> places;
  std::map<std::string, Value> names;

  /// The argument at `place`, or called `name`; nullptr when it is not given.
  const Value* find(std::size_t place, const std::string& name) const;
};

using Space = std::map<std::string, Value>;  // of a namespace, or of `loop`

struct Value {
  std::shared_ptr<const Json> json;  // may point into a larger value
  std::shared_ptr<Space> space;
  std::function<Value(const Arguments&)> call;
  std::string name;  // of an undefined value, for messages

  static Value of(Json json) { return {std::make_shared<const Json>(std::move(json)), {}, {}, {}}; }
  static Value undefined(std::string name) { return {{}, {}, {}, std::move(name)}; }

  bool is_undefined() const { return !json && !space && !call; }
  bool is_text() const { return json && json->is_string(); }
  bool is_list() const { return json && json->is_array(); }
  bool is_dict() const { return json && json->is_object(); }
  bool is_integer() const { return json && json->is_number_integer(); }
  bool is_number() const { return json && json->is_number(); }
  bool is_true() const;  // Python's truth

  /// An element or member that shares the memory of this value.
  Value part(const Json& inside) const {
    return {std::shared_ptr<const Json>(json, &inside), {}, {}, {}};
  }
};

/// Error(kData) without a place; the interpreter adds it.
[[noreturn]] void refuse(const std::string& what);

/// str(value), as it is printed; "" for an undefined one.
std::string to_text(const Value& value);
/// repr(value).
std::string to_repr(const Json& json);
/// json.dumps(value, ensure_ascii=False), with that indentation when it is not negative.
std::string to_json(const Json& json, int indent, bool sort_keys, int depth = 0);
/// "list", "str" ...: as Python names the type.
std::string type_name(const Value& value);

/// Python's ==, and its order, of numbers, texts and lists (Error for others).
bool equal(const Value& a, const Value& b);
bool less(const Value& a, const Value& b);
bool contains(const Value& all, const Value& one);

/// The elements of a list, keys of a dict or characters of a text; none of an undefined value.
/// Error for what cannot be iterated.
std::vector<Value> elements(const Value& value);
/// len(value).
std::int64_t length(const Value& value);

/// A text as code points and back.
std::u32string points(std::string_view text);
std::string from_points(std::u32string_view points);

/// The JSON of a value; Error for an undefined one and for what is none.
const Json& json_of(const Value& value);
/// A text; Error naming what was asked otherwise.
const std::string& text_of(const Value& value, const char* what);
std::int64_t integer_of(const Value& value, const char* what);

}  // namespace moesaic::chat
