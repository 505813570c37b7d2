// Filters.
#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "core/format.h"
#include "data/chat/template_builtins.h"
#include "data/chat/template_operators.h"
#include "data/text/character_properties.h"
#include "data/text/unicode.h"

namespace moesaic::chat {
namespace {

using Filter = Value (*)(const Value&, const Arguments&);

bool flag(const Arguments& a, std::size_t place, const char* name) {
  const Value* const value = a.find(place, name);
  return value != nullptr && value->is_true();
}

// a.b.0 of a value.
Value attribute_of(const Value& of, const Value& path) {
  if (path.is_integer()) {
    const auto all = elements(of);
    const std::int64_t i = integer_of(path, "an attribute");
    return i >= 0 && i < std::ssize(all) ? all[static_cast<std::size_t>(i)]
                                         : Value::undefined("element");
  }
  Value value = of;
  std::string rest = text_of(path, "an attribute");
  while (!rest.empty()) {
    const std::size_t dot = rest.find('.');
    value = member(value, rest.substr(0, dot));
    rest = dot == std::string::npos ? "" : rest.substr(dot + 1);
  }
  return value;
}

Value list_of(const std::vector<Value>& all) {
  Json list = Json::array();
  for (const Value& one : all) list.push_back(json_of(one));
  return Value::of(std::move(list));
}

Arguments without(const Arguments& a, std::size_t count) {
  Arguments rest = a;
  rest.places.erase(rest.places.begin(), rest.places.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                   count, rest.places.size())));
  return rest;
}

Value map_filter(const Value& of, const Arguments& a) {
  const auto attribute = a.names.find("attribute");
  std::vector<Value> all;
  for (const Value& one : elements(of)) {
    if (attribute != a.names.end()) {
      Value found = attribute_of(one, attribute->second);
      const auto otherwise = a.names.find("default");
      if (found.is_undefined() && otherwise != a.names.end()) found = otherwise->second;
      all.push_back(found.is_undefined() ? Value::of("") : found);
    } else {
      if (a.places.empty()) refuse("map needs a filter or attribute=");
      all.push_back(apply_filter(text_of(a.places[0], "map"), one, without(a, 1)));
    }
  }
  return list_of(all);
}

// select, reject, selectattr, rejectattr.
Value selected(const Value& of, const Arguments& a, bool by_attribute, bool wanted) {
  std::vector<Value> kept;
  const std::size_t place = by_attribute ? 1 : 0;
  if (a.places.size() < place) refuse("selectattr needs an attribute");
  for (const Value& one : elements(of)) {
    const Value tested = by_attribute ? attribute_of(one, a.places[0]) : one;
    const bool yes = a.places.size() > place ? apply_test(text_of(a.places[place], "a test"),
                                                          tested, without(a, place + 1))
                                             : tested.is_true();
    if (yes == wanted) kept.push_back(one);
  }
  return list_of(kept);
}

// What sort, min and max compare: small letters unless it is to be exact.
Value sort_key(const Value& of, const Value* attribute, bool exact) {
  const Value value = attribute == nullptr ? of : attribute_of(of, *attribute);
  return value.is_text() && !exact ? call_method(value, "lower", {}) : value;
}

Value sorted(const Value& of, const Arguments& a) {
  const Value* const attribute = a.find(2, "attribute");
  const bool exact = flag(a, 1, "case_sensitive");
  auto all = elements(of);
  const auto key = [&](const Value& one) { return sort_key(one, attribute, exact); };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Value& x, const Value& y) { return less(key(x), key(y)); });
  if (flag(a, 0, "reverse")) {
    std::stable_sort(all.begin(), all.end(),
                     [&](const Value& x, const Value& y) { return less(key(y), key(x)); });
  }
  return list_of(all);
}

Value unique(const Value& of, const Arguments&) {
  std::vector<Value> kept;
  for (const Value& one : elements(of)) {
    const Value key = one.is_text() ? call_method(one, "lower", {}) : one;
    const bool seen = std::any_of(kept.begin(), kept.end(), [&](const Value& k) {
      return equal(k.is_text() ? call_method(k, "lower", {}) : k, key);
    });
    if (!seen) kept.push_back(one);
    if (kept.size() > 10'000) refuse("unique of over 10,000 values");
  }
  return list_of(kept);
}

Value joined(const Value& of, const Arguments& a) {
  const Value* const by = a.find(0, "d");
  const Value* const attribute = a.find(1, "attribute");
  const std::string between = by == nullptr ? "" : to_text(*by);
  std::string out;
  bool first = true;
  for (const Value& one : elements(of)) {
    out.append(first ? "" : between)
        .append(to_text(attribute == nullptr ? one : attribute_of(one, *attribute)));
    if (out.size() > kMostTextBytes) refuse("a text grows beyond 16 MB");
    first = false;
  }
  return Value::of(std::move(out));
}

Value defaulted(const Value& of, const Arguments& a) {
  if (!of.is_undefined() && (!flag(a, 1, "boolean") || of.is_true())) return of;
  const Value* const otherwise = a.find(0, "default_value");
  return otherwise == nullptr ? Value::of("") : *otherwise;
}

Value indented(const Value& of, const Arguments& a) {
  const Value* const width = a.find(0, "width");
  const std::string by = width == nullptr ? std::string(4, ' ')
                         : width->is_text()
                             ? text_of(*width, "indent")
                             : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(
                                               integer_of(*width, "indent"), 0, 1000)),
                                           ' ');
  const bool first = flag(a, 1, "first"), blank = flag(a, 2, "blank");
  const std::string text = to_text(of);
  std::string out = first ? by : "";
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text[i] == '\n' && (blank || (i + 1 < text.size() && text[i + 1] != '\n'))) out += by;
    if (out.size() > kMostTextBytes) refuse("a text grows beyond 16 MB");
  }
  return Value::of(std::move(out));
}

Value as_integer(const Value& of, const Arguments& a) {
  const Value* const otherwise = a.find(0, "default");
  const Value fallback = otherwise == nullptr ? Value::of(0) : *otherwise;
  if (of.is_number() || (of.json && of.json->is_boolean())) {
    const double x = of.json->is_boolean() ? of.is_true() : of.json->get<double>();
    if (of.is_integer()) return of;
    return std::abs(x) < 9e15 ? Value::of(static_cast<std::int64_t>(x)) : fallback;
  }
  if (!of.is_text()) return fallback;
  try {
    const std::string text = text_of(call_method(of, "strip", {}), "int");
    std::size_t end = 0;
    const double x = std::stod(text, &end);
    return end == text.size() && std::abs(x) < 9e15 ? Value::of(static_cast<std::int64_t>(x))
                                                    : fallback;
  } catch (const std::logic_error&) {
    return fallback;
  }
}

Value as_float(const Value& of, const Arguments& a) {
  const Value* const otherwise = a.find(0, "default");
  if (of.is_number()) return Value::of(of.json->get<double>());
  if (of.json && of.json->is_boolean()) return Value::of(of.is_true() ? 1.0 : 0.0);
  try {
    if (of.is_text()) return Value::of(std::stod(text_of(of, "float")));
  } catch (const std::logic_error&) {
  }
  return otherwise == nullptr ? Value::of(0.0) : *otherwise;
}

Value rounded(const Value& of, const Arguments& a) {
  const Value* const digits = a.find(0, "precision");
  const Value* const method = a.find(1, "method");
  const double scale = std::pow(
      10.0,
      digits == nullptr
          ? 0
          : std::clamp<double>(static_cast<double>(integer_of(*digits, "precision")), -15, 15));
  if (of.is_integer() && method == nullptr) return of;
  if (!of.is_number()) refuse(format("round of a {}", type_name(of)));
  const double x = of.json->get<double>();
  const std::string how = method == nullptr ? "common" : to_text(*method);
  return Value::of((how == "ceil"    ? std::ceil(x * scale)
                    : how == "floor" ? std::floor(x * scale)
                                     : std::nearbyint(x * scale)) /
                   scale);
}

Value to_json_filter(const Value& of, const Arguments& a) {
  const Value* const indent = a.names.contains("indent") ? &a.names.at("indent") : nullptr;
  for (const auto& [name, value] : a.names) {
    if (name != "indent" && name != "ensure_ascii" && name != "sort_keys")
      refuse(format("tojson: '{}' is not supported", printable(name, 40)));
    if (name == "ensure_ascii" && value.is_true())
      refuse("tojson: ensure_ascii=true is not supported");
  }
  const int width =
      indent == nullptr || !indent->is_integer()
          ? -1
          : static_cast<int>(std::clamp<std::int64_t>(integer_of(*indent, "indent"), 0, 100));
  const auto sort = a.names.find("sort_keys");
  return Value::of(to_json(json_of(of), width, sort != a.names.end() && sort->second.is_true()));
}

Value sum(const Value& of, const Arguments& a) {
  const Value* const attribute = a.find(0, "attribute");
  double total = 0;
  bool whole = true;
  for (const Value& one : elements(of)) {
    const Value value = attribute == nullptr ? one : attribute_of(one, *attribute);
    if (!value.is_number()) refuse("sum of what is no number");
    whole = whole && value.is_integer();
    total += value.json->get<double>();
  }
  return whole ? Value::of(static_cast<std::int64_t>(total)) : Value::of(total);
}

Value extreme(const Value& of, const Arguments& a, bool highest) {
  const auto all = elements(of);
  const Value* const attribute = a.find(1, "attribute");
  const bool exact = flag(a, 0, "case_sensitive");
  const auto before = [&](const Value& x, const Value& y) {
    return less(sort_key(x, attribute, exact), sort_key(y, attribute, exact));
  };
  if (all.empty()) return Value::undefined("element");
  return highest ? *std::max_element(all.begin(), all.end(), before)
                 : *std::min_element(all.begin(), all.end(), before);
}

Value reversed(const Value& of, const Arguments&) {
  if (of.is_text()) {
    std::u32string all = points(text_of(of, "it"));
    std::reverse(all.begin(), all.end());
    return Value::of(from_points(all));
  }
  auto all = elements(of);
  std::reverse(all.begin(), all.end());
  return list_of(all);
}

// The first letter of each word is large: words begin after blanks and opening brackets.
Value titled(const Value& of, const Arguments&) {
  std::string out, word;
  const auto close = [&] {
    out += to_text(call_method(Value::of(word), "capitalize", {}));
    word.clear();
  };
  for (const char c : to_text(of)) {
    const bool between = std::string_view("- \t\n\r\f\v({[<").find(c) != std::string_view::npos;
    if (!between) {
      word += c;
      continue;
    }
    close();
    out += c;
  }
  close();
  return Value::of(std::move(out));
}

Value escaped(const Value& of, const Arguments&) {
  std::string out;
  for (const char c : to_text(of)) {
    out += c == '&'    ? "&amp;"
           : c == '<'  ? "&lt;"
           : c == '>'  ? "&gt;"
           : c == '"'  ? "&#34;"
           : c == '\'' ? "&#39;"
                       : std::string(1, c);
  }
  return Value::of(std::move(out));
}

// Runs of letters, digits and underscores.
Value word_count(const Value& of, const Arguments&) {
  static const CharacterSet kMarks = *property_set("M");
  std::int64_t count = 0;
  bool inside = false;
  for (const char32_t c : points(to_text(of))) {
    const bool word = unicode::is_word(c) && !kMarks.contains(c);
    count += word && !inside;
    inside = word;
  }
  return Value::of(count);
}

// A method of texts as a filter.
#define MOESAIC_TEXT_FILTER(method) \
  [](const Value& of, const Arguments& a) { return call_method(Value::of(to_text(of)), method, a); }

const std::map<std::string, Filter>& all_filters() {
  static const std::map<std::string, Filter> filters = {
      {"trim", MOESAIC_TEXT_FILTER("strip")},
      {"upper", MOESAIC_TEXT_FILTER("upper")},
      {"lower", MOESAIC_TEXT_FILTER("lower")},
      {"title", titled},
      {"capitalize", MOESAIC_TEXT_FILTER("capitalize")},
      {"replace", MOESAIC_TEXT_FILTER("replace")},
      {"length", [](const Value& of, const Arguments&) { return Value::of(length(of)); }},
      {"count", [](const Value& of, const Arguments&) { return Value::of(length(of)); }},
      {"join", joined},
      {"default", defaulted},
      {"d", defaulted},
      {"first",
       [](const Value& of, const Arguments&) {
         const auto all = elements(of);
         return all.empty() ? Value::undefined("element") : all.front();
       }},
      {"last",
       [](const Value& of, const Arguments&) {
         const auto all = elements(of);
         return all.empty() ? Value::undefined("element") : all.back();
       }},
      {"list", [](const Value& of, const Arguments&) { return list_of(elements(of)); }},
      {"string", [](const Value& of, const Arguments&) { return Value::of(to_text(of)); }},
      {"safe", [](const Value& of, const Arguments&) { return of; }},
      {"int", as_integer},
      {"float", as_float},
      {"round", rounded},
      {"abs",
       [](const Value& of, const Arguments&) {
         if (!of.is_number()) refuse(format("abs of a {}", type_name(of)));
         const Value zero = Value::of(0);
         return less(of, zero) ? operate("-", zero, of) : of;
       }},
      {"sum", sum},
      {"min", [](const Value& of, const Arguments& a) { return extreme(of, a, false); }},
      {"max", [](const Value& of, const Arguments& a) { return extreme(of, a, true); }},
      {"sort", sorted},
      {"unique", unique},
      {"reverse", reversed},
      {"indent", indented},
      {"tojson", to_json_filter},
      {"map", map_filter},
      {"select", [](const Value& of, const Arguments& a) { return selected(of, a, false, true); }},
      {"reject", [](const Value& of, const Arguments& a) { return selected(of, a, false, false); }},
      {"selectattr",
       [](const Value& of, const Arguments& a) { return selected(of, a, true, true); }},
      {"rejectattr",
       [](const Value& of, const Arguments& a) { return selected(of, a, true, false); }},
      {"items",
       [](const Value& of, const Arguments&) {
         if (of.is_undefined()) return Value::of(Json::array());
         if (!of.is_dict()) refuse("items of what is no dict");
         return call_method(of, "items", {});
       }},
      {"dictsort",
       [](const Value& of, const Arguments&) {
         if (!of.is_dict()) refuse("dictsort of what is no dict");
         return sorted(call_method(of, "items", {}), {{}, {{"attribute", Value::of(0)}}});
       }},
      {"escape", escaped},
      {"e", escaped},
      {"wordcount", word_count}};
  return filters;
}
#undef MOESAIC_TEXT_FILTER

}  // namespace

Value apply_filter(const std::string& name, const Value& of, const Arguments& arguments) {
  const auto found = all_filters().find(name);
  if (found == all_filters().end())
    refuse(format("the filter '{}' is not supported", printable(name, 40)));
  return found->second(of, arguments);
}

}  // namespace moesaic::chat
