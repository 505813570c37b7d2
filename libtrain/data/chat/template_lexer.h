// A chat template as tokens: text, and what stands in {{ }} and {% %}. White space as Transformers
// has it: trim_blocks, lstrip_blocks, one line feed at the end taken off.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moesaic::chat {

enum class Token {
  kText,
  kName,
  kInteger,
  kFloat,
  kString,
  kOperator,
  kOutput,
  kBlock,
  kEnd,
  kEof
};

struct Lexeme {
  Token type;        // kOutput: {{, kBlock: {%, kEnd: }} or %}
  std::string text;  // of a string without quotes and escapes
  int line = 1;
};

/// Error(kData) naming `where` and the line.
std::vector<Lexeme> read_tokens(std::string_view source, const std::string& where);

}  // namespace moesaic::chat
