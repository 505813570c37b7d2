#include "data/chat/template_parser.h"

#include <algorithm>

#include "core/error.h"
#include "data/chat/expression_parser.h"

namespace moesaic::chat {
namespace {

using StatementKind = Statement::Kind;
using Ends = std::vector<const char*>;

class TemplateParser {
 public:
  TemplateParser(std::string_view source, const std::string& where)
      : in_(read_tokens(source, where), where) {}

  Body whole() {
    Body body = until({});
    return body;
  }

 private:
  // Statements up to a block that begins with one of `ends`, whose name is the next token.
  Body until(const Ends& ends) {
    const ExpressionParser::Level level(in_);
    Body body;
    while (true) {
      if (in_.is(Token::kEof)) {
        if (!ends.empty()) in_.fail(std::string("there is no ") + ends.back());
        return body;
      }
      Statement made;
      made.line = in_.token().line;
      if (in_.is(Token::kText)) {
        made.text = in_.take().text;
      } else if (in_.accept(Token::kOutput)) {
        made.kind = StatementKind::kOutput;
        made.expression = in_.list_or_expression();
        end_of_tag();
      } else {
        in_.take();
        if (std::any_of(ends.begin(), ends.end(),
                        [&](const char* end) { return in_.is(Token::kName, end); }))
          return body;
        block(made);
      }
      body.push_back(std::move(made));
    }
  }

  void end_of_tag() {
    if (!in_.accept(Token::kEnd))
      in_.fail("the end of the tag was expected, not '" + printable(in_.token().text, 40) + "'");
  }

  // The body up to `end`, and that tag.
  Body body_to(const char* end) {
    end_of_tag();
    Body body = until({end});
    in_.take();
    if (in_.is(Token::kName)) in_.take();  // endmacro name
    end_of_tag();
    return body;
  }

  void block(Statement& made) {
    const std::string name = in_.name();
    if (name == "for") return for_loop(made);
    if (name == "if") return condition(made);
    if (name == "set") return assignment(made);
    if (name == "macro") return macro(made);
    if (name == "break" || name == "continue") {
      made.kind = name == "break" ? StatementKind::kBreak : StatementKind::kContinue;
      return end_of_tag();
    }
    if (name == "filter") {
      made.kind = StatementKind::kFilter;
      made.expression = in_.filters(nullptr);
      made.body = body_to("endfilter");
      return;
    }
    if (name == "generation") {  // Transformers: marks what the assistant says
      made.kind = StatementKind::kGeneration;
      made.body = body_to("endgeneration");
      return;
    }
    in_.fail(
        "'" + printable(name, 40) +
        "' is not supported; for, if, set, macro, filter, break, continue, generation and raw are");
  }

  std::vector<std::string> targets() {
    std::vector<std::string> names;
    const bool round = in_.accept(Token::kOperator, "(");
    do names.push_back(in_.name());
    while (in_.accept(Token::kOperator, ","));
    if (round) in_.expect(Token::kOperator, ")");
    return names;
  }

  void for_loop(Statement& made) {
    made.kind = StatementKind::kFor;
    made.names = targets();
    in_.expect(Token::kName, "in");
    made.expression = in_.disjunction();
    if (in_.is(Token::kOperator, ",")) in_.fail("a list in a for must be in brackets");
    if (in_.accept(Token::kName, "if")) made.condition = in_.expression();
    if (in_.is(Token::kName, "recursive")) in_.fail("'recursive' is not supported");
    end_of_tag();
    made.body = until({"else", "endfor"});
    if (in_.take().text == "else") {
      end_of_tag();
      made.otherwise = until({"endfor"});
      in_.take();
    }
    end_of_tag();
  }

  void condition(Statement& made) {
    const ExpressionParser::Level level(in_);
    made.kind = StatementKind::kIf;
    made.line = in_.token().line;
    made.expression = in_.list_or_expression();
    end_of_tag();
    made.body = until({"elif", "else", "endif"});
    const std::string end = in_.take().text;
    if (end == "elif") {
      made.otherwise.emplace_back();
      return condition(made.otherwise.back());
    }
    if (end == "else") {
      end_of_tag();
      made.otherwise = until({"endif"});
      in_.take();
    }
    end_of_tag();
  }

  void assignment(Statement& made) {
    made.kind = StatementKind::kSet;
    made.names = targets();
    if (made.names.size() == 1 && in_.accept(Token::kOperator, ".")) {
      made.text = made.names[0];
      made.names[0] = in_.name();
    }
    if (in_.accept(Token::kOperator, "=")) {
      made.expression = in_.list_or_expression();
      return end_of_tag();
    }
    made.kind = StatementKind::kSetBlock;
    if (!made.text.empty() || made.names.size() != 1) in_.fail("'=' was expected");
    if (in_.accept(Token::kOperator, "|")) made.expression = in_.filters(nullptr);
    made.body = body_to("endset");
  }

  void macro(Statement& made) {
    made.kind = StatementKind::kMacro;
    made.text = in_.name();
    in_.expect(Token::kOperator, "(");
    while (!in_.is(Token::kOperator, ")")) {
      made.names.push_back(in_.name());
      if (in_.accept(Token::kOperator, "="))
        made.defaults.push_back(in_.expression());
      else if (!made.defaults.empty())
        in_.fail("a parameter without a default follows one with");
      if (!in_.accept(Token::kOperator, ",")) break;
    }
    in_.expect(Token::kOperator, ")");
    made.body = body_to("endmacro");
  }

  ExpressionParser in_;
};

}  // namespace

Body parse_template(std::string_view source, const std::string& where) {
  return TemplateParser(source, where).whole();
}

}  // namespace moesaic::chat
