#include "data/chat/expression_parser.h"

#include <charconv>

#include "core/error.h"
#include "core/format.h"

namespace moesaic::chat {
namespace {

constexpr int kMostLevels = 60;

using ExpressionKind = Expression::Kind;

}  // namespace

ExpressionParser::Level::Level(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.depth_ > kMostLevels)
    parser_.fail(format("over {} levels are nested", kMostLevels));
}

void ExpressionParser::fail(const std::string& what) const {
  throw Error(ErrorKind::kData, format("{}, line {}: {}", where_, token().line, what));
}

bool ExpressionParser::is(Token type, const char* text) const {
  return token().type == type && (text == nullptr || token().text == text);
}

bool ExpressionParser::next_is(Token type, const char* text) const {
  return at_ + 1 < tokens_.size() && tokens_[at_ + 1].type == type && tokens_[at_ + 1].text == text;
}

bool ExpressionParser::accept(Token type, const char* text) {
  if (!is(type, text)) return false;
  take();
  return true;
}

void ExpressionParser::expect(Token type, const char* text) {
  if (!accept(type, text))
    fail(format("'{}' was expected, not '{}'", text,
                printable(token().type == Token::kEnd ? "end of the tag" : token().text, 40)));
}

std::string ExpressionParser::name() {
  if (!is(Token::kName)) fail("a name was expected");
  return take().text;
}

ExpressionPtr ExpressionParser::node(ExpressionKind kind, std::string text) const {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = token().line;
  made->text = std::move(text);
  return made;
}

ExpressionPtr ExpressionParser::list_or_expression() {
  ExpressionPtr first = expression();
  if (!is(Token::kOperator, ",")) return first;
  ExpressionPtr made = node(ExpressionKind::kList);
  made->parts.push_back(std::move(first));
  while (accept(Token::kOperator, ",") && !is(Token::kEnd)) made->parts.push_back(expression());
  return made;
}

ExpressionPtr ExpressionParser::expression() {
  const Level level(*this);
  ExpressionPtr value = disjunction();
  while (accept(Token::kName, "if")) {
    ExpressionPtr made = node(ExpressionKind::kChoice);
    made->parts.push_back(std::move(value));
    made->parts.push_back(disjunction());
    made->parts.push_back(accept(Token::kName, "else") ? expression() : nullptr);
    value = std::move(made);
  }
  return value;
}

ExpressionPtr ExpressionParser::binary(ExpressionPtr (ExpressionParser::*next)(),
                                       std::initializer_list<const char*> operators) {
  ExpressionPtr left = (this->*next)();
  int count = 0;
  while (true) {
    const char* found = nullptr;
    for (const char* const one : operators) {
      if (is(Token::kOperator, one) || is(Token::kName, one)) found = one;
    }
    if (found == nullptr) return left;
    if (++count > 10 * kMostLevels) fail("too long a chain of operators");
    ExpressionPtr made = node(ExpressionKind::kBinary, take().text);
    made->parts.push_back(std::move(left));
    made->parts.push_back((this->*next)());
    left = std::move(made);
  }
}

ExpressionPtr ExpressionParser::disjunction() {
  return binary(&ExpressionParser::conjunction, {"or"});
}
ExpressionPtr ExpressionParser::conjunction() {
  return binary(&ExpressionParser::negation, {"and"});
}

ExpressionPtr ExpressionParser::negation() {
  const Level level(*this);
  if (!is(Token::kName, "not")) return comparison();
  ExpressionPtr made = node(ExpressionKind::kUnary, take().text);
  made->parts.push_back(negation());
  return made;
}

ExpressionPtr ExpressionParser::comparison() {
  ExpressionPtr made = node(ExpressionKind::kChain);
  made->parts.push_back(sum());
  while (true) {
    std::string found;
    for (const char* const one : {"==", "!=", "<=", ">=", "<", ">"})
      if (found.empty() && is(Token::kOperator, one)) found = one;
    if (is(Token::kName, "in")) found = "in";
    const bool is_not = found.empty() && is(Token::kName, "not") && next_is(Token::kName, "in");
    if (is_not) take(), found = "not in";
    if (found.empty()) break;
    take();
    if (!made->text.empty()) made->text.push_back(',');
    made->text += found;
    made->parts.push_back(sum());
  }
  return made->parts.size() == 1 ? std::move(made->parts[0]) : std::move(made);
}

ExpressionPtr ExpressionParser::sum() {
  return binary(&ExpressionParser::concatenation, {"+", "-"});
}
ExpressionPtr ExpressionParser::concatenation() { return binary(&ExpressionParser::factor, {"~"}); }
ExpressionPtr ExpressionParser::factor() {
  return binary(&ExpressionParser::power, {"*", "/", "//", "%"});
}
ExpressionPtr ExpressionParser::power() { return binary(&ExpressionParser::unary, {"**"}); }

ExpressionPtr ExpressionParser::unary_with(bool with_filters) {
  const Level level(*this);
  ExpressionPtr made;
  if (is(Token::kOperator, "-") || is(Token::kOperator, "+")) {
    made = node(ExpressionKind::kUnary, take().text);
    made->parts.push_back(unary_with(false));
  } else {
    made = primary();
  }
  made = postfix(std::move(made));
  return with_filters ? filters_and_tests(std::move(made)) : std::move(made);
}

ExpressionPtr ExpressionParser::primary() {
  ExpressionPtr made = node(ExpressionKind::kConstant);
  const Lexeme lexeme = take();
  const std::string& text = lexeme.text;
  if (lexeme.type == Token::kInteger) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    made->value = Value::of(value);
  } else if (lexeme.type == Token::kFloat) {
    made->value = Value::of(std::stod(text));
  } else if (lexeme.type == Token::kString) {
    std::string whole = text;
    while (is(Token::kString)) whole += take().text;
    made->value = Value::of(std::move(whole));
  } else if (lexeme.type == Token::kName) {
    if (text == "true" || text == "True")
      made->value = Value::of(true);
    else if (text == "false" || text == "False")
      made->value = Value::of(false);
    else if (text == "none" || text == "None")
      made->value = Value::of(nullptr);
    else
      made->kind = ExpressionKind::kName, made->text = text;
  } else if (text == "(") {
    return list(")");
  } else if (text == "[") {
    return list("]");
  } else if (text == "{") {
    return dict();
  } else {
    fail(format("'{}' is unexpected",
                printable(lexeme.type == Token::kEnd ? "end of the tag" : text, 40)));
  }
  return made;
}

// "(a)" is a, "(a,)" and "[a]" are lists.
ExpressionPtr ExpressionParser::list(const char* close) {
  const bool round = close[0] == ')';
  ExpressionPtr made = node(ExpressionKind::kList);
  bool comma = false;
  while (!is(Token::kOperator, close)) {
    made->parts.push_back(expression());
    if (!accept(Token::kOperator, ",")) break;
    comma = true;
  }
  expect(Token::kOperator, close);
  if (round && !comma && made->parts.size() == 1) return std::move(made->parts[0]);
  return made;
}

ExpressionPtr ExpressionParser::dict() {
  ExpressionPtr made = node(ExpressionKind::kDict);
  while (!is(Token::kOperator, "}")) {
    made->parts.push_back(expression());
    expect(Token::kOperator, ":");
    made->parts.push_back(expression());
    if (!accept(Token::kOperator, ",")) break;
  }
  expect(Token::kOperator, "}");
  return made;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr of) {
  for (int count = 0;; ++count) {
    if (count > 10 * kMostLevels) fail("too long a chain");
    if (accept(Token::kOperator, ".")) {
      ExpressionPtr made =
          node(is(Token::kInteger) ? ExpressionKind::kItem : ExpressionKind::kAttribute);
      made->parts.push_back(std::move(of));
      if (is(Token::kInteger))
        made->parts.push_back(primary());
      else
        made->text = name();
      of = std::move(made);
    } else if (accept(Token::kOperator, "[")) {
      of = subscript(std::move(of));
    } else if (is(Token::kOperator, "(")) {
      of = call(std::move(of));
    } else {
      return of;
    }
  }
}

ExpressionPtr ExpressionParser::call(ExpressionPtr of) {
  ExpressionPtr made = node(ExpressionKind::kCall);
  made->parts.push_back(std::move(of));
  arguments(made->arguments);
  return made;
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr of) {
  ExpressionPtr made = node(ExpressionKind::kItem);
  made->parts.push_back(std::move(of));
  const auto part = [&]() -> ExpressionPtr {
    return is(Token::kOperator, ":") || is(Token::kOperator, "]") ? nullptr : expression();
  };
  made->parts.push_back(part());
  while (made->parts.size() < 4 && accept(Token::kOperator, ":")) {
    made->kind = ExpressionKind::kSlice;
    made->parts.push_back(part());
  }
  if (made->kind == ExpressionKind::kSlice)
    made->parts.resize(4);
  else if (made->parts[1] == nullptr)
    fail("an index was expected");
  expect(Token::kOperator, "]");
  return made;
}

void ExpressionParser::arguments(CallArguments& into) {
  expect(Token::kOperator, "(");
  while (!is(Token::kOperator, ")")) {
    if (is(Token::kOperator, "*") || is(Token::kOperator, "**"))
      fail("* and ** in a call are not supported");
    const bool named = is(Token::kName) && next_is(Token::kOperator, "=");
    if (named) {
      std::string key = name();
      take();
      into.names.emplace_back(std::move(key), expression());
    } else {
      into.places.push_back(expression());
    }
    if (!accept(Token::kOperator, ",")) break;
  }
  expect(Token::kOperator, ")");
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr of) {
  do {
    ExpressionPtr made = node(ExpressionKind::kFilter, name());
    while (accept(Token::kOperator, ".")) made->text.append(1, '.').append(name());
    made->parts.push_back(std::move(of));
    if (is(Token::kOperator, "(")) arguments(made->arguments);
    of = std::move(made);
  } while (accept(Token::kOperator, "|"));
  return of;
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr of) {
  for (int count = 0;; ++count) {
    if (count > 10 * kMostLevels) fail("too long a chain");
    if (accept(Token::kOperator, "|")) {
      of = filters(std::move(of));
    } else if (accept(Token::kName, "is")) {
      of = test(std::move(of));
    } else if (is(Token::kOperator, "(")) {
      of = call(std::move(of));
    } else {
      return of;
    }
  }
}

// "is [not] name", with arguments in parentheses or one after it.
ExpressionPtr ExpressionParser::test(ExpressionPtr of) {
  const bool negated = accept(Token::kName, "not");
  ExpressionPtr made = node(ExpressionKind::kTest, name());
  made->parts.push_back(std::move(of));
  const bool is_word = is(Token::kName) && !is(Token::kName, "else") && !is(Token::kName, "or") &&
                       !is(Token::kName, "and") && !is(Token::kName, "is") &&
                       !is(Token::kName, "if") && !is(Token::kName, "in") &&
                       !is(Token::kName, "not");
  if (is(Token::kOperator, "(")) {
    arguments(made->arguments);
  } else if (is_word || is(Token::kString) || is(Token::kInteger) || is(Token::kFloat) ||
             is(Token::kOperator, "[") || is(Token::kOperator, "{")) {
    made->arguments.places.push_back(postfix(primary()));
  }
  if (!negated) return made;
  ExpressionPtr whole = node(ExpressionKind::kUnary, "not");
  whole->parts.push_back(std::move(made));
  return whole;
}

}  // namespace moesaic::chat
