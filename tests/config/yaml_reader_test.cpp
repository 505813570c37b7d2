#include "config/yaml_reader.h"

#include <gtest/gtest.h>

#include <random>

#include "core/format.h"

namespace moesaic {
namespace {

struct Parsed {
  YamlNode root;
  std::vector<Problem> problems;
};

Parsed parse(const std::string& text) {
  ProblemList problems;
  YamlNode root = parse_yaml(text, "r.yaml", problems);
  return {std::move(root), problems.sorted()};
}

// The text of the only problem.
std::string only_problem(const std::string& text) {
  const Parsed parsed = parse(text);
  EXPECT_EQ(parsed.problems.size(), 1U) << text;
  return parsed.problems.size() == 1 ? parsed.problems[0].text() : "";
}

std::string repeated(const std::string& piece, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += piece;
  return text;
}

TEST(YamlReader, KeepsStructureQuotesAndPlaces) {
  const Parsed block = parse("a: 1\nb:\n  - x\n  - \"2\"\nc: {d: ~}\n");
  ASSERT_TRUE(block.problems.empty());
  const YamlNode& root = block.root;
  ASSERT_TRUE(root.is_mapping());
  EXPECT_EQ(root.keys[1].place.text(), "r.yaml:2:1");
  const YamlNode* list = root.find("b");
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->items.size(), 2U);
  EXPECT_FALSE(list->items[0].quoted);
  EXPECT_TRUE(list->items[1].quoted);
  EXPECT_EQ(list->items[1].place.text(), "r.yaml:4:5");
  EXPECT_TRUE(root.find("c")->find("d")->is_null());
  EXPECT_EQ(root.find("missing"), nullptr);
}

TEST(YamlReader, RefusesDuplicateKeysAndKeepsTheFirst) {
  const Parsed parsed = parse("a: 1\nb: 2\na: 3\n");
  ASSERT_EQ(parsed.problems.size(), 1U);
  EXPECT_EQ(parsed.problems[0].text(), "r.yaml:3:1: duplicate key 'a'; the first one counts");
  EXPECT_EQ(parsed.root.find("a")->text, "1");
  EXPECT_EQ(parsed.root.keys.size(), 2U);
}

TEST(YamlReader, RefusesAnchorsAliasesTagsAndMergeKeysAllAtOnce) {
  const Parsed parsed = parse("a: &x {k: 1}\nb: *x\nc: !!int 3\nd:\n  <<: {k: 2}\n");
  ASSERT_EQ(parsed.problems.size(), 4U);
  const char* const words[] = {"anchor", "alias", "tag", "merge key"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NE(parsed.problems[i].message.find(words[i]), std::string::npos);
    EXPECT_EQ(parsed.problems[i].line, i < 3 ? static_cast<int>(i) + 1 : 5);
  }
}

TEST(YamlReader, RefusesKeysThatAreNoWordsAndSecondDocuments) {
  EXPECT_NE(only_problem("? [a, b]\n: 1\n").find("a key must be a word, got a list"),
            std::string::npos);
  EXPECT_NE(only_problem("a: 1\n---\nb: 2\n").find("second document"), std::string::npos);
}

TEST(YamlReader, GivesThePlaceOfASyntaxError) {
  EXPECT_EQ(only_problem("a: [1, 2\nb: 3\n").substr(0, 7), "r.yaml:");
  for (const char* open :
       {"a: \"open\nb: 1\n", "a: 'open\n\nb: 1", "\"open", "a: 'open\n---\nb: 1\n"}) {
    EXPECT_NE(only_problem(open).find("a quote that opens above is not closed"), std::string::npos)
        << open;
  }
  EXPECT_TRUE(parse("a: 1\n...\n").problems.empty());
  EXPECT_EQ(parse("a: |\n  text\n").root.find("a")->text, "text\n");
}

TEST(YamlReader, RefusesWhatIsNotPlainUtf8) {
  EXPECT_EQ(only_problem("a: 1\nb: \xFFx\n").substr(0, 11), "r.yaml:2:4:");
  EXPECT_NE(only_problem(std::string("a\0: 1", 5)).find("control character"), std::string::npos);
  EXPECT_NE(only_problem("\xFE\xFF").find("not UTF-8"), std::string::npos);
  EXPECT_TRUE(parse("\xEF\xBB\xBF"
                    "a: \xC3\xA9\n")
                  .problems.empty());
}

TEST(YamlReader, StopsAtItsLimits) {
  EXPECT_NE(only_problem(repeated("[", 1000000)).find("nested deeper"), std::string::npos);
  EXPECT_NE(only_problem(repeated("{a: ", 200000)).find("nested deeper"), std::string::npos);
  EXPECT_NE(only_problem(repeated("- ", 400000)).find("nested deeper"), std::string::npos);
  EXPECT_NE(only_problem(repeated("? ", 400000)).find("nested deeper"), std::string::npos);
  std::string staircase;
  for (int i = 0; i < 1000; ++i)
    staircase += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_NE(only_problem(staircase).find("nested deeper"), std::string::npos);
  EXPECT_NE(only_problem(repeated("- 1\n", 150000)).find("more than 100000 values"),
            std::string::npos);
  EXPECT_NE(only_problem(repeated("# comment\n", 200000)).find("at most 1048576"),
            std::string::npos);
}

TEST(YamlReader, NeverExpandsAnAliasBomb) {
  std::string bomb = "a: &a [1]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [" +
            repeated(std::string("*") + static_cast<char>(c - 1) + ",", 9) + "]\n";
  }
  const Parsed parsed = parse(bomb);
  EXPECT_EQ(parsed.problems.size(),
            ProblemList::kMost + 1);  // and the line that says there are more
}

// Any input gives a tree or a problem, never a crash: pieces of YAML in a random order.
TEST(YamlReader, SurvivesRandomInput) {
  const std::vector<std::string> pieces = {
      "a",   "b: ", ": ", "- ", "\n", "  ", "[",  "]",    "{",           "}", ",",
      "\"",  "'",   "|",  ">",  "&x", "*x", "!t", "!!",   "?",           "#", "%",
      "---", "...", "~",  "<<", "\t", "\\", "@",  "\r\n", "%YAML 1.2\n", "!<"};
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (auto i = random() % 12; i > 0; --i) text += pieces[random() % pieces.size()];
    const Parsed parsed = parse(text);
    if (!parsed.problems.empty()) {
      EXPECT_FALSE(parsed.problems[0].message.empty()) << text;
    }
  }
}

}  // namespace
}  // namespace moesaic
