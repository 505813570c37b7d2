// The tree of a chat template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/chat/template_value.h"

namespace moesaic::chat {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct CallArguments {
  std::vector<ExpressionPtr> places;
  std::vector<std::pair<std::string, ExpressionPtr>> names;
};

struct Expression {
  enum class Kind {
    kConstant,   // value
    kName,       // text
    kList,       // parts
    kDict,       // parts: key, value, key, value ...
    kAttribute,  // parts[0] . text
    kItem,       // parts[0] [ parts[1] ]
    kSlice,      // parts[0] [ parts[1] : parts[2] : parts[3] ], any of them nullptr
    kCall,       // parts[0] ( arguments )
    kFilter,     // parts[0] | text ( arguments )
    kTest,       // parts[0] is text ( arguments )
    kUnary,      // text: not - +
    kBinary,     // text: and or + - * / // % ** ~ == != < > <= >= in
    kChain,      // a < b < c: parts a, b, c; text "<,<"
    kChoice      // parts[0] if parts[1] else parts[2] (or nullptr)
  };
  Kind kind = Kind::kConstant;
  int line = 0;
  std::string text;
  Value value;
  std::vector<ExpressionPtr> parts;
  CallArguments arguments;
};

struct Statement;
using Body = std::vector<Statement>;

struct Statement {
  enum class Kind {
    kText,      // text
    kOutput,    // expression
    kFor,       // names in expression if condition: body, otherwise
    kIf,        // expression: body, otherwise
    kSet,       // names = expression, or text.names[0] = expression
    kSetBlock,  // names[0] = body, through `expression` (filters of the name "") if there
    kMacro,     // text(names = defaults): body
    kFilter,    // body through `expression`
    kGeneration,  // body, which the assistant says
    kBreak,
    kContinue
  };
  Kind kind = Kind::kText;
  int line = 0;
  std::string text;
  std::vector<std::string> names;
  ExpressionPtr expression, condition;
  std::vector<ExpressionPtr> defaults;  // of the last names
  Body body, otherwise;
};

}  // namespace moesaic::chat
