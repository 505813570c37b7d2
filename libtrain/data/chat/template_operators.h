// The operators of expressions, as Python has them.
#pragma once

#include <string>

#include "data/chat/template_value.h"

namespace moesaic::chat {

/// + - * / // % ** ~ of two values. Error for types that have none, and for results that are too
/// large.
Value operate(const std::string& name, const Value& a, const Value& b);
/// == != < > <= >= in "not in".
bool compare(const std::string& name, const Value& a, const Value& b);
/// of[index]; undefined where there is none.
Value item(const Value& of, const Value& index);
/// of[begin:end:step], any of them nullptr.
Value slice(const Value& of, const Value* begin, const Value* end, const Value* step);

}  // namespace moesaic::chat
