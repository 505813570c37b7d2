#include "data/text/byte_pattern.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.h"
#include "data/text/character_properties.h"
#include "data/text/pattern_characters.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostSets = 200;   // that differ beyond ASCII
constexpr char32_t kFirstSymbol = 0x80;  // ASCII stands for itself
constexpr const char* kEmpty = "(?!)";   // matches nowhere

struct PatternPart {
  std::string text;
  std::optional<CharacterSet> set;  // instead of text
};
using PatternParts = std::vector<PatternPart>;

CharacterSet beyond_ascii(const CharacterSet& set) {
  return set & CharacterSet({{kFirstSymbol, kEndOfCharacters}});
}

// Reads the pattern into pieces of the other syntax.
class Translator {
 public:
  explicit Translator(PatternText& text) : text_(text) { groups_.push_back(Group{}); }

  PatternParts translate() {
    while (text_.more()) element(text_.next());
    if (groups_.size() != 1) text_.fail("a group without )");
    write(std::string(groups_.back().extra, ')'));
    return std::move(pieces_);
  }

 private:
  struct Options {
    bool any_case = false, dot_is_all = false, extended = false;
  };
  struct Group {
    std::size_t piece = 0;
    Options before;         // those outside
    std::size_t extra = 0;  // groups that options opened: they end with this one
  };

  void element(char32_t c) {
    if (options_.extended && skip_gap(c)) return;
    switch (c) {
      case '(':
        return open();
      case ')':
        return close();
      case '|':
        write("|");
        return begin_atom();
      case '*':
      case '+':
      case '?':
        return repeat(std::string(1, static_cast<char>(c)), /*takes_suffix=*/true);
      case '{':
        return braces();
      case '[':
        return atom(read_class(text_, options_.any_case));
      case '\\':
        return escape();
      case '^':
      case '$':
        return atom(std::string(1, static_cast<char>(c)));
      case '.':
        return atom(options_.dot_is_all ? ~CharacterSet() : ~one('\n'));
      default:
        return character(c);
    }
  }

  static CharacterSet one(char32_t c) { return CharacterSet({{c, c + 1}}); }

  // Blanks and comments where the option x is set.
  bool skip_gap(char32_t c) {
    if (c == '#')
      while (text_.more() && text_.next() != '\n') continue;
    return c == '#' || c == ' ' || (c >= '\t' && c <= '\r');
  }

  void write(std::string text) { pieces_.push_back(PatternPart{std::move(text), std::nullopt}); }

  void begin_atom() {
    atom_ = pieces_.size();
    repeated_ = false;
  }
  void atom(std::string text) {
    begin_atom();
    write(std::move(text));
  }
  void atom(CharacterSet set) {
    begin_atom();
    pieces_.push_back(PatternPart{"", std::move(set)});
  }
  void character(char32_t c) { atom(options_.any_case ? of_any_case(one(c)) : one(c)); }

  void escape() {
    const char32_t c = text_.peek();
    if (const auto set = read_escaped_set(text_)) return atom(*set);
    if (text_.skip("N")) return atom(~one('\n'));
    if (text_.skip("O")) return atom(~CharacterSet());
    if (c >= '1' && c <= '9' && !(text_.peek(1) >= '0' && text_.peek(1) <= '7'))
      text_.fail("references to groups are not supported");
    if (c == 'b' || c == 'B') {
      text_.next();
      return boundary(c == 'b');
    }
    if (c == 'A' || c == 'z' || c == 'Z' || c == 'G') {
      text_.next();
      return atom(std::string{'\\', static_cast<char>(c)});
    }
    character(read_escaped_character(text_));
  }

  // Where just one neighbour is a word character, or none or both.
  void boundary(bool just_one) {
    const CharacterSet word = *property_set("word");
    begin_atom();
    const auto look = [&](const char* how) {
      write(how);
      pieces_.push_back(PatternPart{"", word});
    };
    look("(?:(?<=");
    look(just_one ? ")(?!" : ")(?=");
    look(")|(?<!");
    look(just_one ? ")(?=" : ")(?!");
    write("))");
  }

  // After a {: {n}, {n,}, {n,m} or {,m}; else the brace itself.
  void braces() {
    const std::size_t begin = text_.place();
    const auto inside = text_.until('}');
    const std::size_t comma = inside ? inside->find(',') : 0;
    const bool numbers =
        inside && inside->size() <= 20 && *inside != "," && !inside->empty() &&
        inside->find_first_not_of("0123456789,") == std::string::npos &&
        (comma == std::string::npos || inside->find(',', comma + 1) == std::string::npos);
    if (!numbers) {
      text_.back_to(begin);
      return character('{');
    }
    const bool exact = comma == std::string::npos;
    repeat(format("{{{}{}}}", comma == 0 ? "0" : "", *inside), /*takes_suffix=*/false);
    if (!exact && text_.skip("?")) write("?");  // after {n} it repeats that, at most once
  }

  // What is repeated already, or ends with a brace, is repeated as a whole.
  void repeat(const std::string& how, bool takes_suffix) {
    if (repeated_) {
      pieces_.insert(pieces_.begin() + static_cast<std::ptrdiff_t>(atom_),
                     PatternPart{"(?:", std::nullopt});
      write(")");
    }
    write(how);
    repeated_ = true;
    if (!takes_suffix) return;
    if (text_.skip("?"))
      write("?");
    else if (text_.skip("+"))
      write("+");
  }

  void open() {
    const Group group{pieces_.size(), options_};
    if (!text_.skip("?")) return begin(group, "(?:");
    if (text_.skip("#")) {
      if (!text_.until(')')) text_.fail("a comment without )");
      return;
    }
    for (const char* const kind : {":", "=", "!", ">", "<=", "<!"})
      if (text_.skip(kind)) return begin(group, std::string("(?") + kind);
    const bool quoted = text_.skip("'");
    if (quoted || text_.skip("<")) {
      if (!text_.until(quoted ? '\'' : '>')) text_.fail("a name without an end");
      return begin(group, "(?:");
    }
    Options changed = options_;
    read_options(changed);
    if (text_.skip(":")) {
      begin(group, "(?:");
    } else if (text_.skip(")")) {  // for the rest of the group, its alternatives included
      write("(?:");
      begin_atom();
      ++groups_.back().extra;
    } else {
      text_.fail("a kind of group that is not supported");
    }
    options_ = changed;
  }

  void read_options(Options& options) {
    for (bool on = true;;) {
      if (text_.skip("-"))
        on = false;
      else if (text_.skip("i"))
        options.any_case = on;
      else if (text_.skip("m"))
        options.dot_is_all = on;
      else if (text_.skip("x"))
        options.extended = on;
      else
        return;
    }
  }

  void begin(const Group& group, const std::string& text) {
    write(text);
    groups_.push_back(group);
    begin_atom();
  }

  void close() {
    if (groups_.size() == 1) text_.fail("a ) without a group");
    const Group group = groups_.back();
    groups_.pop_back();
    write(std::string(group.extra + 1, ')'));
    options_ = group.before;
    atom_ = group.piece;
    repeated_ = false;
  }

  PatternText& text_;
  PatternParts pieces_;
  Options options_;
  std::vector<Group> groups_;  // those that are open; the first is the whole pattern
  std::size_t atom_ = 0;       // where what would be repeated begins
  bool repeated_ = false;      // it has been
};

std::string escaped(unsigned symbol) { return format("\\x{:02x}", symbol); }

// The class of these symbols.
std::string class_of(const std::vector<bool>& symbols) {
  std::string text;
  std::size_t count = 0;
  for (unsigned begin = 0; begin < 256; ++begin) {
    if (!symbols[begin]) continue;
    unsigned last = begin;
    while (last < 255 && symbols[last + 1]) ++last;
    text += escaped(begin);
    if (last > begin) text += "-" + escaped(last);
    count += last - begin + 1;
    begin = last;
  }
  if (count == 0) return kEmpty;
  return count == 1 ? text : "[" + text + "]";
}

// The sets of the pieces, without ASCII; each once.
std::vector<CharacterSet> distinct_sets(const PatternParts& pieces, const PatternText& text) {
  std::vector<CharacterSet> out;
  for (const PatternPart& piece : pieces) {
    if (!piece.set) continue;
    const CharacterSet set = beyond_ascii(*piece.set);
    if (std::find(out.begin(), out.end(), set) == out.end()) out.push_back(set);
    if (out.size() > kMostSets) text.fail("it tells too many kinds of characters apart");
  }
  return out;
}

}  // namespace

BytePattern byte_pattern(const std::string& pattern, const std::string& where) {
  PatternText text(pattern, where);
  const PatternParts pieces = Translator(text).translate();
  const std::vector<CharacterSet> sets = distinct_sets(pieces, text);
  std::map<Membership, unsigned> symbol_of;
  CharacterMap symbols(sets, [&](const Membership& in) {
    const auto next = static_cast<unsigned>(kFirstSymbol + symbol_of.size());
    const unsigned symbol = symbol_of.emplace(in, next).first->second;
    if (symbol > 0xFF) text.fail("it tells more than 128 kinds of characters apart");
    return static_cast<std::uint8_t>(symbol);
  });
  std::string out;
  for (const PatternPart& piece : pieces) {
    out += piece.text;
    if (!piece.set) continue;
    std::vector<bool> in(256);
    for (char32_t c = 0; c < kFirstSymbol; ++c) in[c] = piece.set->contains(c);
    const auto found = std::find(sets.begin(), sets.end(), beyond_ascii(*piece.set));
    for (const auto& [membership, symbol] : symbol_of)
      in[symbol] = membership[static_cast<std::size_t>(found - sets.begin())];
    out += class_of(in);
  }
  return {std::move(out), std::move(symbols)};
}

}  // namespace moesaic
