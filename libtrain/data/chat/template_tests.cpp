// Tests: what stands after "is".
#include <map>

#include "core/format.h"
#include "data/chat/template_builtins.h"

namespace moesaic::chat {
namespace {

using Test = bool (*)(const Value&, const Arguments&);

// str.islower, str.isupper: of what is printed, with at least one letter that has a case.
bool is_cased(const Value& of, const std::string& how) {
  const Value text = Value::of(to_text(of));
  return equal(call_method(text, how, {}), text) &&
         !equal(call_method(text, "lower", {}), call_method(text, "upper", {}));
}

const Value& right(const Arguments& a) {
  if (a.places.empty()) refuse("the test needs an argument");
  return a.places[0];
}

bool has_elements(const Value& v, const Arguments&) {
  return v.is_undefined() || v.is_text() || v.is_list() || v.is_dict();
}

bool is_equal(const Value& v, const Arguments& a) { return equal(v, right(a)); }
bool is_other(const Value& v, const Arguments& a) { return !equal(v, right(a)); }

const std::map<std::string, Test>& all_tests() {
  static const std::map<std::string, Test> tests = {
      {"defined", [](const Value& v, const Arguments&) { return !v.is_undefined(); }},
      {"undefined", [](const Value& v, const Arguments&) { return v.is_undefined(); }},
      {"none", [](const Value& v, const Arguments&) { return v.json && v.json->is_null(); }},
      {"string", [](const Value& v, const Arguments&) { return v.is_text(); }},
      {"mapping", [](const Value& v, const Arguments&) { return v.is_dict(); }},
      {"iterable", has_elements},
      {"sequence", has_elements},
      {"number",
       [](const Value& v, const Arguments&) {
         return v.is_number() || (v.json && v.json->is_boolean());
       }},
      {"integer", [](const Value& v, const Arguments&) { return v.is_integer(); }},
      {"float",
       [](const Value& v, const Arguments&) { return v.json && v.json->is_number_float(); }},
      {"boolean", [](const Value& v, const Arguments&) { return v.json && v.json->is_boolean(); }},
      {"true", [](const Value& v,
                  const Arguments&) { return v.json && v.json->is_boolean() && v.is_true(); }},
      {"false", [](const Value& v,
                   const Arguments&) { return v.json && v.json->is_boolean() && !v.is_true(); }},
      {"callable", [](const Value& v, const Arguments&) { return static_cast<bool>(v.call); }},
      {"odd", [](const Value& v, const Arguments&) { return integer_of(v, "odd") % 2 != 0; }},
      {"even", [](const Value& v, const Arguments&) { return integer_of(v, "even") % 2 == 0; }},
      {"divisibleby",
       [](const Value& v, const Arguments& a) {
         const std::int64_t by = integer_of(right(a), "divisibleby");
         if (by == 0) refuse("divisibleby 0");
         return by == -1 || integer_of(v, "divisibleby") % by == 0;
       }},
      {"lower", [](const Value& v, const Arguments&) { return is_cased(v, "lower"); }},
      {"upper", [](const Value& v, const Arguments&) { return is_cased(v, "upper"); }},
      {"in", [](const Value& v, const Arguments& a) { return contains(right(a), v); }},
      {"equalto", is_equal},
      {"eq", is_equal},
      {"==", is_equal},
      {"ne", is_other},
      {"!=", is_other},
      {"lt", [](const Value& v, const Arguments& a) { return less(v, right(a)); }},
      {"gt", [](const Value& v, const Arguments& a) { return less(right(a), v); }},
      {"le", [](const Value& v, const Arguments& a) { return !less(right(a), v); }},
      {"ge", [](const Value& v, const Arguments& a) { return !less(v, right(a)); }}};
  return tests;
}

}  // namespace

bool apply_test(const std::string& name, const Value& of, const Arguments& arguments) {
  const auto found = all_tests().find(name);
  if (found == all_tests().end())
    refuse(format("the test '{}' is not supported", printable(name, 40)));
  return found->second(of, arguments);
}

}  // namespace moesaic::chat
