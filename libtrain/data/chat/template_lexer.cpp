#include "data/chat/template_lexer.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "core/json.h"
#include "data/chat/template_value.h"

namespace moesaic::chat {
namespace {

constexpr std::size_t kMostTokens = 200'000;

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  Lexer(std::string source, const std::string& where) : source_(std::move(source)), where_(where) {}

  std::vector<Lexeme> run() {
    while (at_ < source_.size()) text();
    add(Token::kEof, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kData, format("{}, line {}: {}", where_, line_, what));
  }

  void add(Token type, std::string text) {
    if (tokens_.size() >= kMostTokens) fail(format("over {} tokens", kMostTokens));
    tokens_.push_back({type, std::move(text), line_});
  }

  bool has(std::string_view text) const {
    return std::string_view(source_).substr(at_).starts_with(text);
  }

  void skip(std::size_t count) {
    for (; count > 0; --count) line_ += source_[at_++] == '\n';
  }

  void skip_blanks() {
    while (at_ < source_.size() && is_blank(source_[at_])) skip(1);
  }

  // Text up to the next tag, then the tag.
  void text() {
    std::size_t end = at_;
    while (end < source_.size() &&
           !(source_[end] == '{' && end + 1 < source_.size() &&
             (source_[end + 1] == '{' || source_[end + 1] == '%' || source_[end + 1] == '#')))
      ++end;
    std::string text = source_.substr(at_, end - at_);
    const bool is_tag = end < source_.size();
    const char sign = is_tag && end + 2 < source_.size() ? source_[end + 2] : ' ';
    if (is_tag && sign == '-') {
      while (!text.empty() && is_blank(text.back())) text.pop_back();
    } else if (is_tag && sign != '+' && source_[end + 1] != '{') {
      strip_line(text, end);
    }
    if (!text.empty()) add(Token::kText, text);
    skip(end - at_);
    if (is_tag) tag();
  }

  // lstrip_blocks: blanks between the beginning of the line and a block.
  void strip_line(std::string& text, std::size_t end) const {
    std::size_t begin = end;
    while (begin > 0 && (source_[begin - 1] == ' ' || source_[begin - 1] == '\t')) --begin;
    if (begin > 0 && source_[begin - 1] != '\n') return;
    text.resize(text.size() - std::min(text.size(), end - begin));
  }

  void tag() {
    const char kind = source_[at_ + 1];
    if (kind == '#') return comment();
    if (raw()) return;
    add(kind == '{' ? Token::kOutput : Token::kBlock, "");
    skip(2);
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) skip(1);
    const char close = kind == '{' ? '}' : '%';
    int depth = 0;
    while (true) {
      skip_blanks();
      if (at_ >= source_.size()) fail("a tag has no end");
      if (depth == 0 && end_of_tag(close)) return;
      token(depth);
    }
  }

  // "-%}", "+%}", "%}" and what follows of white space.
  bool end_of_tag(char close) {
    const std::string end = {close, '}'};
    char sign = ' ';
    if (has("-" + end) || (close == '%' && has("+" + end))) sign = source_[at_];
    if (sign == ' ' && !has(end)) return false;
    add(Token::kEnd, "");
    skip(sign == ' ' ? 2 : 3);
    after(sign, close == '%');
    return true;
  }

  void after(char sign, bool is_block) {
    if (sign == '-') {
      skip_blanks();
    } else if (is_block && sign != '+' && has("\n")) {
      skip(1);
    }
  }

  void comment() {
    const std::size_t end = source_.find("#}", at_ + 2);
    if (end == std::string::npos) fail("a comment has no end");
    const char sign = source_[end - 1] == '-' || source_[end - 1] == '+' ? source_[end - 1] : ' ';
    skip(end + 2 - at_);
    after(sign, true);
  }

  // {% raw %} ... {% endraw %}
  bool raw() {
    const auto tag_named = [&](std::size_t place, const char* name, std::size_t& end) {
      std::size_t i = place + 2;
      if (i < source_.size() && (source_[i] == '-' || source_[i] == '+')) ++i;
      i = source_.find_first_not_of(" \t\n", i);
      const std::string wanted = name;
      if (i == std::string::npos || source_.compare(i, wanted.size(), wanted) != 0) return false;
      i = source_.find_first_not_of(" \t\n", i + wanted.size());
      if (i != std::string::npos && (source_[i] == '-' || source_[i] == '+')) ++i;
      if (i == std::string::npos || source_.compare(i, 2, "%}") != 0) return false;
      end = i + 2;
      return true;
    };
    std::size_t begin = 0, end = 0;
    if (source_[at_ + 1] != '%' || !tag_named(at_, "raw", begin)) return false;
    for (std::size_t place = source_.find("{%", begin); place != std::string::npos;
         place = source_.find("{%", place + 2)) {
      if (!tag_named(place, "endraw", end)) continue;
      if (source_[begin] == '\n' && begin < place) ++begin;
      add(Token::kText, source_.substr(begin, place - begin));
      skip(end - at_);
      after(' ', true);
      return true;
    }
    fail("raw has no endraw");
  }

  void token(int& depth) {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return string(c);
    if (is_digit(c)) return number();
    if (is_name(c)) {
      std::size_t end = at_;
      while (end < source_.size() && is_name(source_[end])) ++end;
      add(Token::kName, source_.substr(at_, end - at_));
      return skip(end - at_);
    }
    for (const char* const two : {"//", "**", "==", "!=", "<=", ">="}) {
      if (!has(two)) continue;
      add(Token::kOperator, two);
      return skip(2);
    }
    if (std::string_view("+-*/%~<>=.,:|()[]{}").find(c) == std::string_view::npos)
      fail(format("'{}' is unexpected", printable({&c, 1})));
    depth += c == '(' || c == '[' || c == '{' ? 1 : c == ')' || c == ']' || c == '}' ? -1 : 0;
    add(Token::kOperator, std::string(1, c));
    skip(1);
  }

  void number() {
    std::size_t end = at_;
    while (end < source_.size() && (is_digit(source_[end]) || source_[end] == '_')) ++end;
    bool whole = true;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) {
      whole = false;
      for (++end; end < source_.size() && is_digit(source_[end]);) ++end;
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    if (text.size() > 18) fail("a number is too long");
    add(whole ? Token::kInteger : Token::kFloat, text);
    skip(end - at_);
  }

  void string(char quote) {
    std::string text;
    std::size_t i = at_ + 1;
    for (; i < source_.size() && source_[i] != quote; ++i) {
      if (source_[i] != '\\' || i + 1 >= source_.size()) {
        text += source_[i];
        continue;
      }
      escape(i, text);
    }
    if (i >= source_.size()) fail("a string has no end");
    add(Token::kString, text);
    skip(i + 1 - at_);
  }

  void escape(std::size_t& i, std::string& text) const {
    const char c = source_[++i];
    constexpr std::string_view kFrom = "ntrbfav0", kTo{"\n\t\r\b\f\a\v\0", 8};
    if (const auto known = kFrom.find(c); known != std::string_view::npos) {
      text += kTo[known];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      char32_t point = 0;
      for (std::size_t k = 1; k <= digits; ++k) {
        if (i + k >= source_.size() ||
            std::isxdigit(static_cast<unsigned char>(source_[i + k])) == 0)
          fail("a bad escape in a string");
        point =
            point * 16 + static_cast<char32_t>(std::stoi(source_.substr(i + k, 1), nullptr, 16));
      }
      if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) fail("a bad escape in a string");
      text += from_points({&point, 1});
      i += digits;
    } else if (c == '\\' || c == '\'' || c == '"') {
      text += c;
    } else if (c != '\n') {
      text.append(1, '\\').append(1, c);
    }
  }

  std::string source_;
  const std::string& where_;
  std::vector<Lexeme> tokens_;
  std::size_t at_ = 0;
  int line_ = 1;
};

// "\r\n" and "\r" are "\n", and the last one is no part of the template.
std::string with_line_feeds(std::string_view source) {
  std::string text;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      text += source[i];
    else if (i + 1 >= source.size() || source[i + 1] != '\n')
      text += '\n';
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

std::vector<Lexeme> read_tokens(std::string_view source, const std::string& where) {
  return Lexer(with_line_feeds(source), where).run();
}

}  // namespace moesaic::chat
