#include "data/chat/template_value.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/format.h"
#include "data/text/unicode.h"

namespace moesaic::chat {
namespace {

std::string number_text(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  std::string text = format("{}", x);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// A text in the quotes that Python chooses.
std::string quoted(const std::string& text) {
  const char quote =
      text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      out += format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + quote;
}

double number_of(const Json& json) {
  return json.is_boolean() ? (json.get<bool>() ? 1.0 : 0.0) : json.get<double>();
}

bool is_numeric(const Json& json) { return json.is_number() || json.is_boolean(); }

bool equal_json(const Json& a, const Json& b) {
  if (is_numeric(a) && is_numeric(b)) return number_of(a) == number_of(b);
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_array()) return std::equal(a.begin(), a.end(), b.begin(), equal_json);
  if (a.is_object())
    return std::all_of(a.items().begin(), a.items().end(), [&](const auto& item) {
      return b.contains(item.key()) && equal_json(item.value(), b.at(item.key()));
    });
  return a == b;
}

bool less_json(const Json& a, const Json& b) {
  if (is_numeric(a) && is_numeric(b)) return number_of(a) < number_of(b);
  if (a.is_string() && b.is_string())
    return a.get_ref<const std::string&>() < b.get_ref<const std::string&>();
  if (a.is_array() && b.is_array())
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), less_json);
  refuse(format("'<' between {} and {}", type_name(Value::of(a)), type_name(Value::of(b))));
}

}  // namespace

void refuse(const std::string& what) { throw Error(ErrorKind::kData, what); }

const Value* Arguments::find(std::size_t place, const std::string& name) const {
  if (place < places.size()) return &places[place];
  const auto found = names.find(name);
  return found == names.end() ? nullptr : &found->second;
}

bool Value::is_true() const {
  if (space || call) return true;
  if (!json || json->is_null()) return false;
  if (json->is_boolean()) return json->get<bool>();
  if (json->is_number()) return json->get<double>() != 0;
  return json->is_string() ? !json->get_ref<const std::string&>().empty() : !json->empty();
}

std::string to_repr(const Json& json) {
  std::string out;
  switch (json.type()) {
    case Json::value_t::null:
      return "None";
    case Json::value_t::boolean:
      return json.get<bool>() ? "True" : "False";
    case Json::value_t::number_float:
      return number_text(json.get<double>());
    case Json::value_t::string:
      return quoted(json.get_ref<const std::string&>());
    case Json::value_t::array:
      for (const Json& one : json) out.append(out.empty() ? "" : ", ").append(to_repr(one));
      return '[' + out + ']';
    case Json::value_t::object:
      for (const auto& [key, one] : json.items())
        out.append(out.empty() ? "" : ", ").append(quoted(key)).append(": ").append(to_repr(one));
      return '{' + out + '}';
    default:
      return json.dump();
  }
}

std::string to_text(const Value& value) {
  if (value.space) return "<Namespace>";
  if (value.call) return "<function>";
  if (!value.json) return "";
  return value.json->is_string() ? value.json->get<std::string>() : to_repr(*value.json);
}

std::string to_json(const Json& json, int indent, bool sort_keys, int depth) {
  if (json.is_null()) return "null";
  if (json.is_boolean()) return json.get<bool>() ? "true" : "false";
  if (json.is_number_float()) return number_text(json.get<double>());
  if (!json.is_structured()) return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::vector<std::string> parts;
  if (json.is_array()) {
    for (const Json& one : json) parts.push_back(to_json(one, indent, sort_keys, depth + 1));
  } else {
    std::vector<std::string> keys;
    for (const auto& item : json.items()) keys.push_back(item.key());
    if (sort_keys) std::sort(keys.begin(), keys.end());
    for (const std::string& key : keys)
      parts.push_back(Json(key).dump(-1, ' ', false, Json::error_handler_t::replace) + ": " +
                      to_json(json.at(key), indent, sort_keys, depth + 1));
  }
  const char open = json.is_array() ? '[' : '{', close = json.is_array() ? ']' : '}';
  std::string out(1, open);
  const auto line = [&](int level) {
    return indent < 0 ? std::string()
                      : '\n' + std::string(static_cast<std::size_t>(indent * level), ' ');
  };
  for (std::size_t i = 0; i < parts.size(); ++i)
    out.append(i == 0 ? "" : indent < 0 ? ", " : ",").append(line(depth + 1)).append(parts[i]);
  return parts.empty() ? out + close : out + line(depth) + close;
}

std::string type_name(const Value& value) {
  if (value.space) return "namespace";
  if (value.call) return "function";
  if (!value.json) return "undefined";
  if (value.json->is_null()) return "None";
  if (value.json->is_boolean()) return "bool";
  if (value.json->is_number_float()) return "float";
  if (value.json->is_number()) return "int";
  return value.json->is_string() ? "str" : value.json->is_array() ? "list" : "dict";
}

bool equal(const Value& a, const Value& b) {
  if (a.json && b.json) return equal_json(*a.json, *b.json);
  return a.is_undefined() && b.is_undefined();
}

bool less(const Value& a, const Value& b) { return less_json(json_of(a), json_of(b)); }

bool contains(const Value& all, const Value& one) {
  if (all.is_text())
    return text_of(all, "in").find(text_of(one, "the left side of in")) != std::string::npos;
  if (all.is_dict())
    return one.is_text() && all.json->contains(one.json->get_ref<const std::string&>());
  const auto list = elements(all);
  return std::any_of(list.begin(), list.end(), [&](const Value& x) { return equal(x, one); });
}

std::vector<Value> elements(const Value& value) {
  std::vector<Value> all;
  if (value.is_undefined()) return all;
  if (value.is_list()) {
    for (const Json& one : *value.json) all.push_back(value.part(one));
  } else if (value.is_dict()) {
    for (const auto& item : value.json->items()) all.push_back(Value::of(item.key()));
  } else if (value.is_text()) {
    for (const char32_t c : points(value.json->get_ref<const std::string&>()))
      all.push_back(Value::of(from_points({&c, 1})));
  } else {
    refuse(format("{} is not iterable", type_name(value)));
  }
  return all;
}

std::int64_t length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_text()) return std::ssize(points(value.json->get_ref<const std::string&>()));
  if (value.is_list() || value.is_dict()) return static_cast<std::int64_t>(value.json->size());
  refuse(format("{} has no length", type_name(value)));
}

std::u32string points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  unicode::for_each(text, [&](char32_t c, std::string_view) { out.push_back(c); });
  return out;
}

std::string from_points(std::u32string_view all) {
  std::string out;
  for (const char32_t c : all) unicode::append(out, c);
  return out;
}

const Json& json_of(const Value& value) {
  if (value.json) return *value.json;
  if (value.is_undefined()) refuse(format("'{}' is undefined", value.name));
  refuse(format("a {} is no plain value", type_name(value)));
}

const std::string& text_of(const Value& value, const char* what) {
  if (!value.is_text()) refuse(format("{} must be a str, not {}", what, type_name(value)));
  return value.json->get_ref<const std::string&>();
}

std::int64_t integer_of(const Value& value, const char* what) {
  if (value.json && value.json->is_boolean()) return value.json->get<bool>() ? 1 : 0;
  if (!value.is_integer()) refuse(format("{} must be an int, not {}", what, type_name(value)));
  return value.json->get<std::int64_t>();
}

}  // namespace moesaic::chat
