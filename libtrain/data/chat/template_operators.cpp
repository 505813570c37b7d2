#include "data/chat/template_operators.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/format.h"
#include "data/chat/template_builtins.h"

namespace moesaic::chat {
namespace {

constexpr std::size_t kMostElements = 1'000'000;

bool is_integral(const Value& v) { return v.is_integer() || (v.json && v.json->is_boolean()); }
bool is_numeric(const Value& v) { return v.is_number() || (v.json && v.json->is_boolean()); }
double number(const Value& v) {
  return v.json->is_boolean() ? static_cast<double>(v.is_true()) : v.json->get<double>();
}

[[noreturn]] void no_operator(const std::string& name, const Value& a, const Value& b) {
  for (const Value* const v : {&a, &b})
    if (v->is_undefined()) refuse(format("'{}' is undefined", printable(v->name, 60)));
  refuse(format("'{}' between {} and {}", name, type_name(a), type_name(b)));
}

Value integers(const std::string& name, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  bool over = false;
  if (name == "+")
    over = __builtin_add_overflow(a, b, &out);
  else if (name == "-")
    over = __builtin_sub_overflow(a, b, &out);
  else if (name == "*")
    over = __builtin_mul_overflow(a, b, &out);
  else if (name == "**") {
    if (b < 0) return Value::of(std::pow(static_cast<double>(a), static_cast<double>(b)));
    out = 1;
    if (b > 64 && a != 0 && a != 1 && a != -1)
      over = true;
    else
      for (std::int64_t i = 0; i < std::min<std::int64_t>(b, 65 + b % 2) && !over; ++i)
        over = __builtin_mul_overflow(out, a, &out);
  } else {
    if (b == 0) refuse("division by zero");
    if (b == -1) return name == "%" ? Value::of(0) : integers("-", 0, a);
    out = a / b;
    const std::int64_t rest = a % b;
    const bool apart = rest != 0 && (rest < 0) != (b < 0);
    if (name == "%") return Value::of(apart ? rest + b : rest);
    if (apart) --out;
  }
  if (over) refuse("an integer grows beyond 64 bits");
  return Value::of(out);
}

Value floats(const std::string& name, double a, double b) {
  if (name == "+") return Value::of(a + b);
  if (name == "-") return Value::of(a - b);
  if (name == "*") return Value::of(a * b);
  if (name == "**") return Value::of(std::pow(a, b));
  if (b == 0) refuse("division by zero");
  if (name == "/") return Value::of(a / b);
  if (name == "//") return Value::of(std::floor(a / b));
  const double rest = std::fmod(a, b);
  return Value::of(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

Value repeated(const Value& of, std::int64_t count) {
  const std::size_t times = static_cast<std::size_t>(std::max<std::int64_t>(0, count));
  if (of.is_text()) {
    const std::string& text = of.json->get_ref<const std::string&>();
    if (!text.empty() && times > kMostTextBytes / text.size()) refuse("a text grows beyond 16 MB");
    std::string out;
    for (std::size_t i = 0; i < (text.empty() ? 0 : times); ++i) out += text;
    return Value::of(std::move(out));
  }
  if (!of.json->empty() && times > kMostElements / of.json->size())
    refuse("a list grows beyond 1,000,000 elements");
  Json out = Json::array();
  for (std::size_t i = 0; i < (of.json->empty() ? 0 : times); ++i)
    for (const Json& one : *of.json) out.push_back(one);
  return Value::of(std::move(out));
}

Value added(const Value& a, const Value& b) {
  if (a.is_text()) {
    std::string text =
        a.json->get_ref<const std::string&>() + b.json->get_ref<const std::string&>();
    if (text.size() > kMostTextBytes) refuse("a text grows beyond 16 MB");
    return Value::of(std::move(text));
  }
  Json all = *a.json;
  for (const Json& one : *b.json) all.push_back(one);
  if (all.size() > kMostElements) refuse("a list grows beyond 1,000,000 elements");
  return Value::of(std::move(all));
}

// '%s' and '%d' of one value or a list of them.
Value formatted(const std::string& pattern, const Value& b) {
  const auto values = b.is_list() ? elements(b) : std::vector<Value>{b};
  std::string out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      out += pattern[i];
      continue;
    }
    const char kind = ++i < pattern.size() ? pattern[i] : ' ';
    if (kind == '%') {
      out += '%';
      continue;
    }
    if (kind != 's' && kind != 'd')
      refuse(format("'%{}' in a pattern is not supported; %s and %d are", printable({&kind, 1})));
    if (next == values.size()) refuse("not enough values for the pattern");
    out += kind == 'd' ? format("{}", integer_of(values[next], "%d")) : to_text(values[next]);
    ++next;
  }
  if (next != values.size()) refuse("more values than the pattern takes");
  return Value::of(std::move(out));
}

}  // namespace

Value operate(const std::string& name, const Value& a, const Value& b) {
  if (name == "~") {
    std::string text = to_text(a) + to_text(b);
    if (text.size() > kMostTextBytes) refuse("a text grows beyond 16 MB");
    return Value::of(std::move(text));
  }
  if (is_integral(a) && is_integral(b) && name != "/")
    return integers(name, integer_of(a, "it"), integer_of(b, "it"));
  if (is_numeric(a) && is_numeric(b)) return floats(name, number(a), number(b));
  if (name == "+" && ((a.is_text() && b.is_text()) || (a.is_list() && b.is_list())))
    return added(a, b);
  if (name == "*" && (a.is_text() || a.is_list()) && is_integral(b))
    return repeated(a, integer_of(b, "it"));
  if (name == "*" && (b.is_text() || b.is_list()) && is_integral(a))
    return repeated(b, integer_of(a, "it"));
  if (name == "%" && a.is_text()) return formatted(a.json->get_ref<const std::string&>(), b);
  no_operator(name, a, b);
}

bool compare(const std::string& name, const Value& a, const Value& b) {
  if (name == "==") return equal(a, b);
  if (name == "!=") return !equal(a, b);
  if (name == "in") return contains(b, a);
  if (name == "not in") return !contains(b, a);
  if (name == "<") return less(a, b);
  if (name == ">") return less(b, a);
  return name == "<=" ? less(a, b) || equal(a, b) : less(b, a) || equal(a, b);
}

Value item(const Value& of, const Value& index) {
  if (index.is_text()) return member(of, index.json->get_ref<const std::string&>());
  if (of.is_undefined()) refuse(format("'{}' is undefined", printable(of.name, 60)));
  if (!is_integral(index) || !(of.is_list() || of.is_text())) return Value::undefined("item");
  std::int64_t i = integer_of(index, "an index");
  const std::int64_t size = length(of);
  if (i < 0) i += size;
  if (i < 0 || i >= size) return Value::undefined(format("item {}", i));
  if (of.is_list()) return of.part(of.json->at(static_cast<std::size_t>(i)));
  const char32_t c = points(of.json->get_ref<const std::string&>())[static_cast<std::size_t>(i)];
  return Value::of(from_points({&c, 1}));
}

Value slice(const Value& of, const Value* begin, const Value* end, const Value* step) {
  const auto given = [](const Value* v) {
    return v != nullptr && !(v->json && v->json->is_null());
  };
  const std::int64_t by = given(step) ? integer_of(*step, "a step") : 1, size = length(of);
  if (by == 0) refuse("a slice with step 0");
  if (!of.is_text() && !of.is_list()) refuse(format("a slice of {}", type_name(of)));
  const auto bound = [&](const Value* v, std::int64_t otherwise) {
    if (!given(v)) return otherwise;
    std::int64_t i = integer_of(*v, "a bound");
    if (i < 0) i = i < -size ? -1 : i + size;
    return by > 0 ? std::clamp<std::int64_t>(i, 0, size)
                  : std::clamp<std::int64_t>(i, -1, size - 1);
  };
  const std::int64_t first = bound(begin, by > 0 ? 0 : size - 1),
                     last = bound(end, by > 0 ? size : -1);
  std::vector<std::size_t> places;
  const std::int64_t stride = std::clamp<std::int64_t>(by, -size - 1, size + 1);
  for (std::int64_t i = first; stride > 0 ? i < last : i > last; i += stride)
    places.push_back(static_cast<std::size_t>(i));
  if (of.is_text()) {
    const std::u32string all = points(of.json->get_ref<const std::string&>());
    std::u32string out;
    for (const std::size_t i : places) out += all[i];
    return Value::of(from_points(out));
  }
  Json out = Json::array();
  for (const std::size_t i : places) out.push_back(of.json->at(i));
  return Value::of(std::move(out));
}

}  // namespace moesaic::chat
