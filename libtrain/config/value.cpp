#include "config/value.h"

#include <algorithm>
#include <cmath>

#include "config/scalar.h"
#include "config/variant_value.h"
#include "core/error.h"
#include "core/fs.h"

namespace moesaic {
namespace {

constexpr std::size_t kLongestName = 256;  // of a map; YAML bounds the length of a key

std::string range_text(const Rule& rule) {
  const bool low = std::isfinite(rule.least);
  const bool high = std::isfinite(rule.most);
  std::string text;
  if (low) text = format("{} {}", rule.above_least ? ">" : ">=", rule.least);
  if (low && high) text += " and ";
  if (high) text += format("{} {}", rule.below_most ? "<" : "<=", rule.most);
  return text;
}

std::string with_range(const std::string& type, const Rule& rule) {
  const std::string range = range_text(rule);
  return range.empty() ? type : type + " " + range;
}

bool in_range(double value, const Rule& rule) {
  const bool low = rule.above_least ? value > rule.least : value >= rule.least;
  const bool high = rule.below_most ? value < rule.most : value <= rule.most;
  return std::isfinite(value) && low && high;
}

bool is_one_of(const std::string& text, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// Text of a plain scalar that may be a number or a truth value, "" for anything else.
std::string plain(const YamlNode& node) {
  return node.is_scalar() && !node.quoted ? node.text : "";
}

template <class Int>
void read_integer(const Slot& slot, const std::optional<Int>& value, Int& field) {
  if (value && in_range(static_cast<double>(*value), slot.rule)) {
    field = *value;
    return;
  }
  std::string expected = expected_text(slot.rule, field);
  const std::optional<double> number = scalar_number(plain(slot.node));
  if (!value && number && std::floor(*number) == *number && std::abs(*number) < 1e15) {
    expected += format(" (write {})", static_cast<std::int64_t>(*number));
  }
  slot.refuse(expected);
}

template <class Value>
void read_list(const Slot& slot, std::vector<Value>& field) {
  const std::size_t count = slot.rule.count;
  const std::string expected = expected_text(slot.rule, field);
  if (!slot.node.is_sequence()) return slot.refuse(expected);
  if (count > 0 && slot.node.items.size() != count) {
    return slot.refuse(format("{}, {} of them are here", expected, slot.node.items.size()));
  }
  std::vector<Value> values(slot.node.items.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    read_value(Slot{slot.node.items[i], slot.key, slot.rule, slot.problems}, values[i]);
  }
  field = values;
}

template <class Value>
Value& value_of(const std::string& name, std::map<std::string, Value>& values) {
  return values[name];
}
template <class Value>
Value& value_of(const std::string& name, NamedValues<Value>& values) {
  return values.emplace_back(name, Value{}).second;
}

template <class Map>
void read_map(const Slot& slot, Map& field) {
  if (slot.node.is_null()) return field.clear();
  if (!slot.node.is_mapping()) return slot.refuse(expected_text(slot.rule, field));
  Map values;
  const std::size_t before = slot.problems.size();
  for (std::size_t i = 0; i < slot.node.items.size() && !slot.problems.full(); ++i) {
    const auto& [name, place] = slot.node.keys[i];
    if (name.empty() || name.size() > kLongestName) {
      slot.problems.error(place, slot.key, format("a name has 1 to {} bytes", kLongestName));
      continue;
    }
    const std::string key = format("{}.{}", slot.key, shortened(name));
    read_value(Slot{slot.node.items[i], key, slot.rule, slot.problems}, value_of(name, values));
  }
  if (slot.problems.size() == before) field = std::move(values);
}

template <class Map>
std::string map_text(const Map& value) {
  std::vector<std::string> parts;
  for (const auto& [name, item] : value)
    parts.push_back(format("{}: {}", yaml_text(name), write_value(item).value_or("")));
  return format("{{{}}}", join(parts, ", "));
}

}  // namespace

void Slot::refuse(const std::string& expected) const {
  problems.error(node.place, key, format("expected {}, got {}", expected, node.shown()));
}

void read_value(const Slot& slot, bool& field) {
  const std::optional<bool> value = scalar_bool(plain(slot.node));
  if (!value) return slot.refuse(expected_text(slot.rule, field));
  field = *value;
}

void read_value(const Slot& slot, std::int64_t& field) {
  read_integer(slot, scalar_int(plain(slot.node)), field);
}

void read_value(const Slot& slot, std::uint64_t& field) {
  read_integer(slot, scalar_unsigned(plain(slot.node)), field);
}

void read_value(const Slot& slot, double& field) {
  const std::optional<double> value = scalar_number(plain(slot.node));
  if (!value || !in_range(*value, slot.rule)) {
    return slot.refuse(expected_text(slot.rule, field));
  }
  field = *value;
}

void read_value(const Slot& slot, std::string& field) {
  const Rule& rule = slot.rule;
  const std::string one_of = rule.choices.empty() ? "" : "one of ";
  if (!slot.node.is_scalar() || slot.node.text.empty()) {
    return slot.refuse(one_of + expected_text(rule, field));
  }
  if (is_one_of(slot.node.text, rule.later)) {
    return slot.problems.error(slot.node.place, slot.key,
                               format("{} is not supported by this version; one of {}",
                                      slot.node.shown(), join(rule.choices, ", ")));
  }
  if (!rule.choices.empty() && !is_one_of(slot.node.text, rule.choices)) {
    return slot.problems.error(
        slot.node.place, slot.key,
        format("expected one of {}, got {}{}", join(rule.choices, ", "), slot.node.shown(),
               did_you_mean(slot.node.text, rule.choices)));
  }
  field = rule.path ? absolute_path(slot.node.text) : slot.node.text;
}

void read_value(const Slot& slot, std::vector<double>& field) { read_list(slot, field); }
void read_value(const Slot& slot, std::vector<std::int64_t>& field) { read_list(slot, field); }
void read_value(const Slot& slot, std::vector<std::string>& field) { read_list(slot, field); }

void read_value(const Slot& slot, NamedValues<std::int64_t>& field) { read_map(slot, field); }
void read_value(const Slot& slot, NamedValues<double>& field) { read_map(slot, field); }
void read_value(const Slot& slot, std::map<std::string, std::string>& field) {
  read_map(slot, field);
}

void read_value(const Slot& slot, Json& field) {
  if (slot.node.is_null()) return void(field = Json::object());
  if (!slot.node.is_mapping()) return slot.refuse("a mapping of the keys of config.json");
  field = to_json(slot.node, slot.key, slot.problems);
}

std::optional<std::string> write_value(bool value) { return value ? "true" : "false"; }
std::optional<std::string> write_value(std::int64_t value) { return format("{}", value); }
std::optional<std::string> write_value(std::uint64_t value) { return format("{}", value); }
std::optional<std::string> write_value(double value) { return yaml_number(value); }

std::optional<std::string> write_value(const std::string& value) {
  if (value.empty()) return std::nullopt;
  return yaml_text(value);
}

std::optional<std::string> write_value(const std::vector<double>& value) {
  std::vector<std::string> numbers;
  for (const double number : value) numbers.push_back(yaml_number(number));
  return format("[{}]", join(numbers, ", "));
}

std::optional<std::string> write_value(const std::vector<std::int64_t>& value) {
  return format("[{}]", join(value, ", "));
}

std::optional<std::string> write_value(const std::vector<std::string>& value) {
  std::vector<std::string> texts;
  for (const std::string& text : value) texts.push_back(yaml_text(text));
  return format("[{}]", join(texts, ", "));
}

std::optional<std::string> write_value(const NamedValues<std::int64_t>& value) {
  return map_text(value);
}
std::optional<std::string> write_value(const NamedValues<double>& value) { return map_text(value); }
std::optional<std::string> write_value(const std::map<std::string, std::string>& value) {
  return map_text(value);
}

std::optional<std::string> write_value(const Json& value) {
  if (value.empty()) return std::nullopt;
  std::vector<std::string> lines;
  for (const auto& [key, item] : value.items()) {
    lines.push_back(format("{}: {}", yaml_text(key),
                           item.is_string() ? yaml_text(item.get<std::string>()) : item.dump()));
  }
  return format("\n{}", join(lines, "\n"));
}

std::string expected_text(const Rule&, bool) { return "true or false"; }
std::string expected_text(const Rule& rule, std::int64_t) { return with_range("an integer", rule); }
std::string expected_text(const Rule& rule, std::uint64_t) {
  return with_range("an integer", rule);
}
std::string expected_text(const Rule& rule, double) { return with_range("a finite number", rule); }
std::string expected_text(const Rule& rule, const std::string&) {
  return rule.choices.empty() ? "text" : format("{}", join(rule.choices, ", "));
}

std::string allowed_text(const Rule& rule) {
  return rule.choices.empty() ? range_text(rule) : format("{}", join(rule.choices, ", "));
}

void read_value(const Slot& slot, Off&) {
  if (!has_form(slot, Off{})) slot.refuse("false");
}

bool has_form(const Slot& slot, Off) { return scalar_bool(plain(slot.node)) == false; }
bool has_form(const Slot& slot, bool) { return scalar_bool(plain(slot.node)).has_value(); }
bool has_form(const Slot& slot, std::int64_t) { return scalar_int(plain(slot.node)).has_value(); }
bool has_form(const Slot& slot, double) { return scalar_number(plain(slot.node)).has_value(); }
bool has_form(const Slot& slot, const std::string&) {
  const YamlNode& node = slot.node;
  return node.is_scalar() && !node.text.empty() &&
         (slot.rule.choices.empty() || is_one_of(node.text, slot.rule.choices) ||
          is_one_of(node.text, slot.rule.later));
}

void refuse_kind(const Slot& slot, const std::vector<std::string>& expected) {
  std::string kinds;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const bool last = i + 1 == expected.size();
    if (i > 0) kinds += last ? " or " : ", ";
    kinds += expected[i] == "true or false" && !last ? "true, false" : expected[i];
  }
  const std::string hint =
      slot.node.is_scalar() ? did_you_mean(slot.node.text, slot.rule.choices) : "";
  slot.problems.error(slot.node.place, slot.key,
                      format("expected {}, got {}{}", kinds, slot.node.shown(), hint));
}

}  // namespace moesaic
