#include "data/text/character_properties.h"

#include <algorithm>
#include <string>
#include <utility>

#include "data/text/character_data.h"

namespace moesaic {
namespace {

using Run = CharacterSet::Run;
using Named = std::pair<std::string_view, std::string_view>;

constexpr Named kLongNames[] = {{"letter", "l"},
                                {"casedletter", "lc"},
                                {"uppercaseletter", "lu"},
                                {"lowercaseletter", "ll"},
                                {"titlecaseletter", "lt"},
                                {"modifierletter", "lm"},
                                {"otherletter", "lo"},
                                {"mark", "m"},
                                {"combiningmark", "m"},
                                {"nonspacingmark", "mn"},
                                {"spacingmark", "mc"},
                                {"enclosingmark", "me"},
                                {"number", "n"},
                                {"decimalnumber", "nd"},
                                {"letternumber", "nl"},
                                {"othernumber", "no"},
                                {"punctuation", "p"},
                                {"punct", "p"},
                                {"symbol", "s"},
                                {"connectorpunctuation", "pc"},
                                {"dashpunctuation", "pd"},
                                {"openpunctuation", "ps"},
                                {"closepunctuation", "pe"},
                                {"initialpunctuation", "pi"},
                                {"finalpunctuation", "pf"},
                                {"otherpunctuation", "po"},
                                {"mathsymbol", "sm"},
                                {"currencysymbol", "sc"},
                                {"modifiersymbol", "sk"},
                                {"othersymbol", "so"},
                                {"separator", "z"},
                                {"spaceseparator", "zs"},
                                {"lineseparator", "zl"},
                                {"paragraphseparator", "zp"},
                                {"other", "c"},
                                {"control", "cc"},
                                {"cntrl", "cc"},
                                {"format", "cf"},
                                {"surrogate", "cs"},
                                {"privateuse", "co"},
                                {"unassigned", "cn"},
                                {"digit", "nd"},
                                {"alpha", "alphabetic"},
                                {"upper", "uppercase"},
                                {"lower", "lowercase"}};

// Small letters whose capital is that of another small letter, and that one.
constexpr std::pair<char32_t, char32_t> kTwins[] = {
    {0xB5, 0x3BC},    {0x17F, 's'},    {0x345, 0x3B9},  {0x3C2, 0x3C3},  {0x3D0, 0x3B2},
    {0x3D1, 0x3B8},   {0x3D5, 0x3C6},  {0x3D6, 0x3C0},  {0x3F0, 0x3BA},  {0x3F1, 0x3C1},
    {0x3F5, 0x3B5},   {0x1C80, 0x432}, {0x1C81, 0x434}, {0x1C82, 0x43E}, {0x1C83, 0x441},
    {0x1C84, 0x442},  {0x1C85, 0x442}, {0x1C86, 0x44A}, {0x1C87, 0x463}, {0x1C88, 0xA64B},
    {0x1E9B, 0x1E61}, {0x1FBE, 0x3B9}};

char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name)
    if (c != ' ' && c != '-' && c != '_') out.push_back(small(c));
  return out;
}

// All general categories whose name begins so.
CharacterSet category_set(std::string_view begins) {
  std::vector<Run> runs;
  char32_t begin = 0;
  for (character_data::Numbers numbers(character_data::kCategories); numbers.more();) {
    const char32_t end = begin + numbers.next();
    const char name[] = {small(numbers.letter()), small(numbers.letter())};
    if (std::string_view(name, 2).starts_with(begins)) runs.push_back({begin, end});
    begin = end;
  }
  return CharacterSet(std::move(runs));
}

CharacterSet word_characters() {
  return *property_set("alphabetic") | category_set("m") | category_set("nd") | category_set("pc");
}

CharacterSet blanks() { return category_set("z") | CharacterSet({{'\t', '\r' + 1}, {0x85, 0x86}}); }

std::optional<CharacterSet> combined_set(const std::string& name) {
  if (name == "any") return ~CharacterSet();
  if (name == "assigned") return ~category_set("cn");
  if (name == "ascii") return CharacterSet({{0, 0x80}});
  if (name == "lc") return category_set("lu") | category_set("ll") | category_set("lt");
  if (name == "space" || name == "whitespace") return blanks();
  if (name == "blank") return category_set("zs") | CharacterSet({{'\t', '\t' + 1}});
  if (name == "word")  // with some numbers of Latin-1
    return word_characters() | CharacterSet({{0xB2, 0xB4}, {0xB9, 0xBA}, {0xBC, 0xBF}});
  if (name == "alnum") return *property_set("alphabetic") | category_set("nd");
  if (name == "xdigit") return CharacterSet({{'0', '9' + 1}, {'A', 'F' + 1}, {'a', 'f' + 1}});
  if (name == "posixpunct") return category_set("p") | category_set("s");
  const CharacterSet nothing = category_set("cc") | category_set("cn") | category_set("cs");
  if (name == "graph") return ~(nothing | blanks());
  if (name == "print") return ~(nothing | category_set("zl") | category_set("zp"));
  return std::nullopt;
}

}  // namespace

std::optional<CharacterSet> property_set(std::string_view name) {
  std::string wanted = plain(name);
  for (const auto& [other, known] : kLongNames)
    if (wanted == other) wanted = known;
  for (const character_data::NamedSet& named : character_data::named_sets())
    if (wanted == named.name) return CharacterSet::read(named.text);
  if (!wanted.empty() && wanted.size() <= 2) {
    const CharacterSet category = category_set(wanted);
    if (!category.runs().empty()) return category;
  }
  return combined_set(wanted);
}

std::optional<CharacterSet> posix_set(std::string_view name) {
  constexpr std::string_view kNames[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                         "digit", "graph", "lower", "print", "punct",
                                         "space", "upper", "word",  "xdigit"};
  if (std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames))
    return std::nullopt;
  if (name == "punct") return property_set("posixpunct");
  return name == "word" ? word_characters() : property_set(name);
}

std::vector<std::pair<char32_t, char32_t>> capital_letters() {
  std::vector<std::pair<char32_t, char32_t>> out;
  char32_t done = 0;
  for (character_data::Numbers numbers(character_data::kLowerCase); numbers.more();) {
    const char32_t first = done + numbers.next(), count = numbers.next(), step = numbers.next();
    const char32_t move = numbers.next(), distance = move / 2;
    for (char32_t i = 0; i < count; ++i) {
      const char32_t c = first + i * step;
      out.emplace_back(c, move % 2 == 0 ? c + distance : c - distance);
    }
    done = first + (count - 1) * step;
  }
  std::sort(out.begin(), out.end());
  return out;
}

CharacterSet of_any_case(const CharacterSet& set) {
  CharacterSet grown = set;
  static const auto kCapitals = capital_letters();
  for (bool grows = true; grows;) {  // K, k and the sign of kelvin need two rounds
    std::vector<Run> runs = grown.runs();
    const auto relate = [&grown, &runs](const std::pair<char32_t, char32_t>& pair) {
      if (grown.contains(pair.first)) runs.push_back({pair.second, pair.second + 1});
      if (grown.contains(pair.second)) runs.push_back({pair.first, pair.first + 1});
    };
    std::for_each(kCapitals.begin(), kCapitals.end(), relate);
    std::for_each(std::begin(kTwins), std::end(kTwins), relate);
    CharacterSet next(std::move(runs));
    grows = next != grown;
    grown = std::move(next);
  }
  return grown;
}

}  // namespace moesaic
