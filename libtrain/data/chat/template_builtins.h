// What a chat template can call: filters, tests, and the methods of texts, lists and dicts.
#pragma once

#include <string>

#include "data/chat/template_value.h"

namespace moesaic::chat {

/// `of | name(arguments)`. Error naming a filter that is not supported. Those that apply others
/// (map, select ...) are here too.
Value apply_filter(const std::string& name, const Value& of, const Arguments& arguments);

/// `of is name(arguments)`. Error naming a test that is not supported.
bool apply_test(const std::string& name, const Value& of, const Arguments& arguments);

/// Whether values like `of` have a method called `name`.
bool has_method(const Value& of, const std::string& name);
Value call_method(const Value& of, const std::string& name, const Arguments& arguments);

/// of.name or of[name] of what is no method: undefined where there is none.
Value member(const Value& of, const std::string& name);

}  // namespace moesaic::chat
