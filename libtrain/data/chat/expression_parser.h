// Expressions of a chat template, with Jinja's precedence.
#pragma once

#include <string>
#include <vector>

#include "data/chat/template_lexer.h"
#include "data/chat/template_syntax.h"

namespace moesaic::chat {

/// Reads tokens from the first to the last; the parser of statements goes on where it stands.
class ExpressionParser {
 public:
  ExpressionParser(std::vector<Lexeme> tokens, const std::string& where)
      : tokens_(std::move(tokens)), where_(where) {}

  ExpressionPtr expression();               // with "a if b else c"
  ExpressionPtr disjunction();              // without
  ExpressionPtr list_or_expression();       // "a, b" is a list
  ExpressionPtr filters(ExpressionPtr of);  // "upper | trim" applied to `of`

  const Lexeme& token() const { return tokens_[at_]; }
  Lexeme take() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
  bool is(Token type, const char* text = nullptr) const;
  bool accept(Token type, const char* text = nullptr);
  void expect(Token type, const char* text);
  std::string name();
  [[noreturn]] void fail(const std::string& what) const;

  /// Counts nested constructs; too many are an error.
  class Level {
   public:
    explicit Level(ExpressionParser& parser);
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    ExpressionParser& parser_;
  };

 private:
  bool next_is(Token type, const char* text) const;
  ExpressionPtr node(Expression::Kind kind, std::string text = "") const;
  ExpressionPtr binary(ExpressionPtr (ExpressionParser::*next)(),
                       std::initializer_list<const char*> operators);
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr factor();
  ExpressionPtr power();
  ExpressionPtr unary() { return unary_with(true); }
  ExpressionPtr unary_with(bool filters);
  ExpressionPtr primary();
  ExpressionPtr postfix(ExpressionPtr of);
  ExpressionPtr call(ExpressionPtr of);
  ExpressionPtr subscript(ExpressionPtr of);
  ExpressionPtr filters_and_tests(ExpressionPtr of);
  ExpressionPtr test(ExpressionPtr of);
  ExpressionPtr list(const char* close);
  ExpressionPtr dict();
  void arguments(CallArguments& into);

  std::vector<Lexeme> tokens_;
  std::string where_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace moesaic::chat
