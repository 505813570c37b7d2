// Properties of characters and patterns, whatever the version of the system's libraries.
// tests/parity/characters_test.py compares them all.
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/test_data.h"
#include "data/text/character_map.h"
#include "data/text/character_properties.h"
#include "data/text/regex.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

// The matches, each followed by a bar.
std::string matches(const std::string& pattern, std::string_view text) {
  std::string out;
  for (const Extent& extent : Regex(pattern, "here").find_all(text))
    out.append(text.substr(extent.begin, extent.end - extent.begin)).append("|");
  return out;
}

void expect_refused(const std::string& pattern, const std::string& part) {
  testing::expect_error(ErrorKind::kData, part, [&] { Regex(pattern, "here"); });
}

TEST(CharacterSet, IsUnitedCutAndInverted) {
  const CharacterSet set({{'c', 'f'}, {'a', 'c'}, {'x', 'x'}, {'z', 'z' + 1}});
  EXPECT_EQ(set, CharacterSet({{'a', 'f'}, {'z', 'z' + 1}}));
  EXPECT_TRUE(set.contains('e') && set.contains('z') && !set.contains('f') && !set.contains('y'));
  EXPECT_EQ(~~set, set);
  EXPECT_EQ((~CharacterSet()).runs().front().end, kEndOfCharacters);
  EXPECT_EQ(set & CharacterSet({{'e', 'k'}}), CharacterSet({{'e', 'f'}}));
}

TEST(CharacterMap, TellsSetsApart) {
  const std::vector<CharacterSet> sets = {CharacterSet({{10, 600}}),
                                          CharacterSet({{20, 30}, {0x10FFFF, 0x110000}})};
  const CharacterMap map(
      sets, [](const Membership& in) { return static_cast<std::uint8_t>(in[0] + 2 * in[1]); });
  EXPECT_EQ(map[9], 0);
  EXPECT_EQ(map[10], 1);
  EXPECT_EQ(map[25], 3);
  EXPECT_EQ(map[599], 1);
  EXPECT_EQ(map[600], 0);
  EXPECT_EQ(map[0x10FFFF], 2);
}

TEST(Characters, AreThoseOfOneVersionOfUnicode) {
  EXPECT_EQ(matches(R"(\s)", "a\u180E\u2003 b"), "\u2003| |");
  EXPECT_EQ(matches(R"(\p{S}+|\p{P}+)", "a\U0001FAE8b\u1B4E"), "\U0001FAE8|\u1B4E|");
  EXPECT_EQ(matches(R"(\p{L}+)", "\U00031350\U0002EBF0 1"), "\U00031350\U0002EBF0|");
  EXPECT_EQ(matches(R"(\w+)", "\u00B2\u200D"), "\u00B2|");
  EXPECT_TRUE(unicode::is_word(0x200D) && !unicode::is_word(0xB2));
  EXPECT_TRUE(unicode::is_numeric(0x11DE0));
  EXPECT_TRUE(unicode::is_punctuation('$') && !unicode::is_punctuation(0x1B4E));
  EXPECT_TRUE(!unicode::is_nonspacing_mark(0x8CA) && unicode::is_nonspacing_mark(0x301));
  EXPECT_TRUE(unicode::is_control(0xAD) && !unicode::is_control(0x890));
  EXPECT_TRUE(unicode::is_whitespace(0x202F) && !unicode::is_whitespace(0x180E));
}

TEST(Characters, AreLoweredAndNormalised) {
  EXPECT_EQ(unicode::lowercase("\u00C9\u0130\U00010D50\uA7CBa1"),
            "\u00E9i\u0307\U00010D70\u0264a1");
  using unicode::Form;
  EXPECT_EQ(unicode::normalize("e\u0301 \u212B", Form::kNfc), "\u00E9 \u00C5");
  EXPECT_EQ(unicode::normalize("\uFB01\u1E9B\u0323", Form::kNfkd), "fis\u0323\u0307");
  EXPECT_EQ(unicode::normalize("\u1100\u1161\u11A8", Form::kNfc), "\uAC01");
  // Newer than the tables: as they are.
  EXPECT_EQ(unicode::normalize("\U00011935\U00011930", Form::kNfc), "\U00011935\U00011930");
  EXPECT_EQ(unicode::normalize("a\uA7F2", Form::kNfkc), "a\uA7F2");
}

TEST(Pattern, IsReadAsOnigurumaDoes) {
  EXPECT_EQ(matches("(?i:'s|'k)", "'S'\u017F'\u212A's"), "'S|'\u017F|'\u212A|'s|");
  EXPECT_EQ(matches("a(?i)b|c", "aBxCxac"), "aB|ac|");
  EXPECT_EQ(matches("(?m:.)", "\n"), "\n|");
  EXPECT_EQ(matches(".+", "\u00E9b\nc"), "\u00E9b|c|");
  EXPECT_EQ(matches("a{,2}b", "aaab"), "aab|");
  EXPECT_EQ(matches("a{1,2}+", "aaaaa"), "aaaaa|");
  EXPECT_EQ(matches("a{2", "a{2"), "a{2|");
  EXPECT_EQ(matches("[a-e&&[^b-c]]", "abcde"), "a|d|e|");
  EXPECT_EQ(matches(R"([\p{Han}&&[^\x{4E2D}]])", "\u4E2D\u6587"), "\u6587|");
  EXPECT_EQ(matches("[[:alpha:]\\-]+", "a-\u0431 1"), "a-\u0431|");
  EXPECT_EQ(matches(R"(\b\w+\b)", "\u00E9t\u00E9 a"), "\u00E9t\u00E9|a|");
  EXPECT_EQ(matches(R"(\h+)", "gAf9"), "Af9|");
  EXPECT_EQ(matches("(?<=\u00E9|bc)d", "\u00E9dbcd"), "d|d|");
  EXPECT_EQ(matches("(?x: a b # c\n)", "ab"), "ab|");
  EXPECT_EQ(matches("x*", "axb"), "|x||");
  EXPECT_EQ(matches("^a$", "a\nb\na"), "a|a|");
}

TEST(Pattern, IsRefusedByItsConstruct) {
  expect_refused("(a", "(a");
  expect_refused("a)", "a)");
  expect_refused(R"((a)\1)", "references");
  expect_refused(R"(\R)", "\\R");
  expect_refused(R"(\p{Klingon})", "Klingon");
  expect_refused("[a", "without ]");
  expect_refused("[z-a]", "before it begins");
  expect_refused(R"([\w-x])", "range");
  expect_refused("(?s:.)", "group");
  expect_refused("(?(1)a)", "group");
  expect_refused("*a", "*a");
  std::string many = "[a]";
  for (char32_t c = 0x400; c < 0x500; ++c) unicode::append(many, c);
  expect_refused(many, "too many kinds");
}

}  // namespace
}  // namespace moesaic
