#include "config/scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace moesaic {
namespace {

// JSON objects here look keys up one by one, so a hostile mapping must stay small.
constexpr std::size_t kMostKeys = 1000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text;
}

template <class Int>
std::optional<Int> parse_integer(std::string_view text) {
  int base = 10;
  if (text.substr(0, 2) == "0x" || text.substr(0, 2) == "0o") {
    base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(2);
    if (text.empty() || text[0] == '-' || text[0] == '+') return std::nullopt;
  } else if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
  }
  Int value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool looks_decimal(std::string_view text) {
  text = without_sign(text);
  const auto digits = [&text] {
    std::size_t count = 0;
    while (!text.empty() && is_digit(text[0])) text.remove_prefix(1), ++count;
    return count;
  };
  const std::size_t before = digits();
  std::size_t after = 0;
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    after = digits();
  }
  if (before + after == 0) return false;
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text = without_sign(text.substr(1));
  return digits() > 0 && text.empty();
}

bool is_null_word(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

Json scalar_json(const YamlNode& node) {
  if (node.quoted) return node.text;
  if (is_null_word(node.text)) return nullptr;
  if (const auto value = scalar_bool(node.text)) return *value;
  if (const auto value = scalar_int(node.text)) return *value;
  if (const auto value = scalar_number(node.text)) return *value;
  return node.text;
}

}  // namespace

std::optional<bool> scalar_bool(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

std::optional<std::int64_t> scalar_int(std::string_view text) {
  return parse_integer<std::int64_t>(text);
}

std::optional<std::uint64_t> scalar_unsigned(std::string_view text) {
  return parse_integer<std::uint64_t>(text);
}

std::optional<double> scalar_number(std::string_view text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (const auto integer = scalar_int(text)) return static_cast<double>(*integer);
  const std::string_view body = without_sign(text);
  const bool negative = !text.empty() && text[0] == '-';
  if (body == ".inf" || body == ".Inf" || body == ".INF") return negative ? -kInfinity : kInfinity;
  if (text == ".nan" || text == ".NaN" || text == ".NAN") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (!looks_decimal(text)) return std::nullopt;
  double value = 0;
  const auto [stop, error] = std::from_chars(body.data(), body.data() + body.size(), value);
  // Out of range is either too large or too small; only what underflows is harmless, and both are
  // mistakes.
  if (error == std::errc::result_out_of_range) value = kInfinity;
  return negative ? -value : value;
}

std::string yaml_text(const std::string& text) {
  const auto plain = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '/' || c == '.' || c == '-';
  };
  const bool safe = std::all_of(text.begin(), text.end(), plain) && !is_null_word(text) &&
                    text[0] != '-' && text[0] != '.' && !scalar_bool(text) && !scalar_number(text);
  if (safe) return text;
  try {
    return Json(text).dump();  // a JSON string is a double-quoted YAML scalar
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kRecipe,
                "a path or text of the recipe is not UTF-8 and cannot be written",
                "rename the folder, or start from another one");
  }
}

std::string yaml_number(double value) {
  std::string text = format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

Json to_json(const YamlNode& node, const std::string& key, ProblemList& problems) {
  if (node.items.size() > kMostKeys) {
    problems.error(node.place, key,
                   format("{} entries, at most {} are read", node.items.size(), kMostKeys));
    return nullptr;
  }
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return nullptr;
    case YamlNode::Kind::kScalar: {
      Json value = scalar_json(node);
      if (value.is_number_float() && !std::isfinite(value.get<double>())) {
        problems.error(node.place, key, format("expected a finite number, got {}", node.shown()));
      }
      return value;
    }
    case YamlNode::Kind::kSequence: {
      Json list = Json::array();
      for (const YamlNode& item : node.items) list.push_back(to_json(item, key, problems));
      return list;
    }
    case YamlNode::Kind::kMapping: {
      Json object = Json::object();
      for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const std::string& name = node.keys[i].text;
        object[name] = to_json(node.items[i], format("{}.{}", key, name), problems);
      }
      return object;
    }
  }
  return nullptr;
}

}  // namespace moesaic
