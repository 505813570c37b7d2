// Methods of texts, lists and dicts.
#include <algorithm>
#include <array>
#include <map>

#include "core/error.h"
#include "core/format.h"
#include "data/chat/template_builtins.h"
#include "data/text/unicode.h"

namespace moesaic::chat {
namespace {

constexpr std::string_view kBlanks = " \t\n\r\f\v";

// What Python takes for white space.
bool is_blank(char32_t c) { return unicode::is_whitespace(c) || (c >= 0x1C && c <= 0x1F); }

std::string checked(std::string text) {
  if (text.size() > kMostTextBytes) refuse("a text grows beyond 16 MB");
  return text;
}

// 1: front, 2: back.
std::string stripped(const std::string& text, const Value* characters, int sides) {
  const bool blanks = characters == nullptr || !characters->is_text();
  const std::u32string all = points(text),
                       remove = blanks ? U"" : points(text_of(*characters, "strip"));
  std::size_t begin = 0, end = all.size();
  const auto out = [&](char32_t c) {
    return blanks ? is_blank(c) : remove.find(c) != std::u32string::npos;
  };
  while ((sides & 1) != 0 && begin < end && out(all[begin])) ++begin;
  while ((sides & 2) != 0 && end > begin && out(all[end - 1])) --end;
  return from_points(std::u32string_view(all).substr(begin, end - begin));
}

std::string titled(const std::string& text) {
  std::string out;
  bool inside = false;
  for (const char32_t c : points(text)) {
    const std::string one = from_points({&c, 1}), small = unicode::lowercase(one),
                      large = unicode::uppercase(one);
    out += inside ? small : large;
    inside = small != large || (c >= 0x80 && unicode::is_word(c));
  }
  return out;
}

std::string capitalized(const std::string& text) {
  const std::u32string all = points(text);
  if (all.empty()) return "";
  return unicode::uppercase(from_points({all.data(), 1})) +
         unicode::lowercase(from_points(std::u32string_view(all).substr(1)));
}

Json split(const std::string& text, const Arguments& a, bool from_right) {
  const Value* const by = a.find(0, "sep");
  const Value* const limit = a.find(1, "maxsplit");
  std::int64_t most = limit == nullptr ? -1 : integer_of(*limit, "maxsplit");
  std::vector<std::string> parts;
  if (by == nullptr || !by->is_text()) {  // runs of blanks
    std::size_t at = text.find_first_not_of(kBlanks);
    while (at != std::string::npos) {
      if (most-- == 0) {
        parts.push_back(stripped(text.substr(at), nullptr, 2));
        break;
      }
      const std::size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
      parts.push_back(text.substr(at, end - at));
      at = text.find_first_not_of(kBlanks, end);
    }
    return parts;
  }
  const std::string& sep = text_of(*by, "sep");
  if (sep.empty()) refuse("split by an empty text");
  std::string rest = text;
  while (most != 0) {
    const std::size_t at = from_right ? rest.rfind(sep) : rest.find(sep);
    if (at == std::string::npos) break;
    parts.push_back(from_right ? rest.substr(at + sep.size()) : rest.substr(0, at));
    rest = from_right ? rest.substr(0, at) : rest.substr(at + sep.size());
    if (most > 0) --most;
  }
  parts.push_back(rest);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

bool affix(const std::string& text, const Value* wanted, bool front) {
  if (wanted == nullptr) refuse("startswith and endswith need a text");
  const auto fits = [&](const Value& one) {
    const std::string& part = text_of(one, "startswith");
    return front ? text.starts_with(part) : text.ends_with(part);
  };
  if (!wanted->is_list()) return fits(*wanted);
  const auto all = elements(*wanted);
  return std::any_of(all.begin(), all.end(), fits);
}

std::string replaced(const std::string& text, const Arguments& a) {
  if (a.places.size() < 2) refuse("replace needs two texts");
  const std::string &from = text_of(a.places[0], "replace"), &to = text_of(a.places[1], "replace");
  const Value* const limit = a.find(2, "count");
  std::int64_t most = limit == nullptr || !limit->is_integer() ? -1 : integer_of(*limit, "count");
  std::string out;
  std::size_t at = 0;
  if (from.empty()) refuse("replace of an empty text is not supported");
  for (; most != 0; --most) {
    const std::size_t found = text.find(from, at);
    if (found == std::string::npos) break;
    out = checked(out.append(text, at, found - at).append(to));
    at = found + from.size();
  }
  return out.append(text, at, std::string::npos);
}

std::int64_t occurrences(const std::string& text, const std::string& part) {
  std::int64_t count = 0;
  if (part.empty()) return std::ssize(points(text)) + 1;
  for (std::size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + part.size()))
    ++count;
  return count;
}

std::string joined(const std::string& by, const Arguments& a) {
  std::string out;
  bool first = true;
  if (a.places.empty()) refuse("join needs a list");
  for (const Value& one : elements(a.places[0])) {
    out = checked(out.append(first ? "" : by).append(text_of(one, "an element of join")));
    first = false;
  }
  return out;
}

using TextMethod = Value (*)(const std::string&, const Arguments&);

const std::map<std::string, TextMethod>& text_methods() {
  static const std::map<std::string, TextMethod> methods = {
      {"strip", [](const std::string& t,
                   const Arguments& a) { return Value::of(stripped(t, a.find(0, "chars"), 3)); }},
      {"lstrip", [](const std::string& t,
                    const Arguments& a) { return Value::of(stripped(t, a.find(0, "chars"), 1)); }},
      {"rstrip", [](const std::string& t,
                    const Arguments& a) { return Value::of(stripped(t, a.find(0, "chars"), 2)); }},
      {"upper",
       [](const std::string& t, const Arguments&) { return Value::of(unicode::uppercase(t)); }},
      {"lower",
       [](const std::string& t, const Arguments&) { return Value::of(unicode::lowercase(t)); }},
      {"title", [](const std::string& t, const Arguments&) { return Value::of(titled(t)); }},
      {"capitalize",
       [](const std::string& t, const Arguments&) { return Value::of(capitalized(t)); }},
      {"split",
       [](const std::string& t, const Arguments& a) { return Value::of(split(t, a, false)); }},
      {"rsplit",
       [](const std::string& t, const Arguments& a) { return Value::of(split(t, a, true)); }},
      {"startswith", [](const std::string& t,
                        const Arguments& a) { return Value::of(affix(t, a.find(0, ""), true)); }},
      {"endswith", [](const std::string& t,
                      const Arguments& a) { return Value::of(affix(t, a.find(0, ""), false)); }},
      {"replace",
       [](const std::string& t, const Arguments& a) { return Value::of(replaced(t, a)); }},
      {"join", [](const std::string& t, const Arguments& a) { return Value::of(joined(t, a)); }},
      {"count",
       [](const std::string& t, const Arguments& a) {
         if (a.places.empty()) refuse("count needs a text");
         return Value::of(occurrences(t, text_of(a.places[0], "count")));
       }},
      {"find",
       [](const std::string& t, const Arguments& a) {
         if (a.places.empty()) refuse("find needs a text");
         const std::size_t at = t.find(text_of(a.places[0], "find"));
         return Value::of(at == std::string::npos
                              ? std::int64_t{-1}
                              : std::ssize(points(std::string_view(t).substr(0, at))));
       }},
      {"isdigit",
       [](const std::string& t, const Arguments&) {
         return Value::of(!t.empty() && std::all_of(t.begin(), t.end(),
                                                    [](char c) { return c >= '0' && c <= '9'; }));
       }},
      {"splitlines", [](const std::string& t, const Arguments&) {
         Arguments by;
         by.places.push_back(Value::of("\n"));
         Json lines = split(t, by, false);
         if (lines.back() == "") lines.erase(lines.size() - 1);
         return Value::of(std::move(lines));
       }}};
  return methods;
}

Value dict_method(const Value& of, const std::string& name, const Arguments& a) {
  if (name == "get") {
    if (a.places.empty()) refuse("get needs a key");
    const Value found =
        a.places[0].is_text() ? member(of, text_of(a.places[0], "a key")) : Value::undefined("");
    if (!found.is_undefined()) return found;
    const Value* const otherwise = a.find(1, "default");
    return otherwise == nullptr ? Value::of(nullptr) : *otherwise;
  }
  Json all = Json::array();
  for (const auto& item : of.json->items()) {
    if (name == "keys")
      all.push_back(item.key());
    else if (name == "values")
      all.push_back(item.value());
    else
      all.push_back(Json::array({item.key(), item.value()}));
  }
  return Value::of(std::move(all));
}

Value list_method(const Value& of, const std::string& name, const Arguments& a) {
  if (a.places.empty()) refuse(format("{} needs a value", name));
  std::int64_t count = 0, index = -1, at = 0;
  for (const Value& one : elements(of)) {
    if (equal(one, a.places[0])) {
      ++count;
      if (index < 0) index = at;
    }
    ++at;
  }
  if (name == "index" && index < 0) refuse("index: the value is not in the list");
  return Value::of(name == "count" ? count : index);
}

}  // namespace

bool has_method(const Value& of, const std::string& name) {
  if (of.is_text()) return text_methods().contains(name);
  if (of.is_dict()) return name == "get" || name == "items" || name == "keys" || name == "values";
  return of.is_list() && (name == "index" || name == "count");
}

Value call_method(const Value& of, const std::string& name, const Arguments& arguments) {
  if (of.is_text()) return text_methods().at(name)(text_of(of, "it"), arguments);
  return of.is_dict() ? dict_method(of, name, arguments) : list_method(of, name, arguments);
}

Value member(const Value& of, const std::string& name) {
  if (of.space) {
    const auto found = of.space->find(name);
    return found == of.space->end() ? Value::undefined(name) : found->second;
  }
  if (of.is_undefined())
    refuse(format("'{}' is undefined, so it has no '{}'", printable(of.name, 60),
                  printable(name, 60)));
  if (of.is_dict()) {
    const auto found = of.json->find(name);
    if (found != of.json->end()) return of.part(*found);
  }
  return Value::undefined(name);
}

}  // namespace moesaic::chat
