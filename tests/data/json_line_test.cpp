#include "data/json_line.h"

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;

void text_error(const std::string& line, const std::string& part) {
  expect_error(ErrorKind::kData, part, [&] { read_text_line(line, "a.jsonl:7"); });
}

void ids_error(const std::string& line, const std::string& part) {
  expect_error(ErrorKind::kData, part, [&] { read_ids_line(line, "a.jsonl:7"); });
}

TEST(TextLine, GivesTheTextAndIgnoresOtherKeys) {
  EXPECT_EQ(read_text_line(R"({"text": "a\nb \u00e9 \ud83d\ude00"})", "x"),
            "a\nb \u00e9 \U0001F600");
  EXPECT_EQ(read_text_line(
                R"({"id": 1, "meta": {"text": [1, {"text": 2}]}, "text": "yes", "n": null} )", "x"),
            "yes");
  EXPECT_EQ(read_text_line(R"({"text": ""})", "x"), "");
}

TEST(TextLine, ErrorsSayWhereAndWhat) {
  text_error(R"({"txt": "a"})", "a.jsonl:7: key \"text\" is missing");
  text_error(R"({"text": 3})", "a.jsonl:7: \"text\" is 3, must be a string");
  text_error(R"({"text": -3.5})", "\"text\" is -3.5, must be a string");
  text_error(R"({"text": null})", "\"text\" is null, must be a string");
  text_error(R"({"text": ["a"]})", "\"text\" is an array, must be a string");
  text_error(R"({"text": {"text": "a"}})", "\"text\" is an object, must be a string");
  text_error(R"({"text": "a", "text": "b"})", "key \"text\" is there twice");
  text_error(R"(["text"])", "an array, must be an object");
  text_error(R"("text")", "a string, must be an object");
  text_error(R"({"text": "a"} {"text": "b"})", "a.jsonl:7: invalid JSON: column");
  text_error(R"({"text": "a)", "invalid JSON");
  text_error(R"({"text": "\ud800"})", "invalid JSON");
  text_error("", "invalid JSON");
}

TEST(TextLine, InvalidUtf8IsAnErrorThatCanBeShown) {
  try {
    read_text_line("{\"text\": \"caf\xe9\"}", "a.jsonl:7");
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("ill-formed UTF-8"), std::string::npos) << message;
    EXPECT_TRUE(
        std::all_of(message.begin(), message.end(), [](char c) { return c >= ' ' && c <= '~'; }));
  }
}

TEST(TextLine, MessagesDoNotRepeatALongLine) {
  try {
    read_text_line("{\"text\": \"" + std::string(1000000, 'x') + "\x01\"}", "a.jsonl:7");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 300U);
  }
}

TEST(TextLine, MessagesDoNotRepeatALongNumber) {
  text_error("{\"text\": 1." + std::string(100000, '5') + "}",
             "\"text\" is 1." + std::string(38, '5') + "..., must be a string");
}

TEST(TextLine, DeepNestingIsRefused) {
  const std::string deep = "{\"a\":" + std::string(100000, '[');
  text_error(deep, "nested deeper than 32 levels");
}

TEST(IdsLine, GivesTheIds) {
  EXPECT_EQ(read_ids_line(R"({"ids": [0, 4294967295, 7], "x": [1, 2]})", "x"),
            (std::vector<std::uint32_t>{0, 4294967295U, 7}));
  EXPECT_TRUE(read_ids_line(R"({"ids": []})", "x").empty());
}

TEST(IdsLine, ErrorsSayWhichIdIsWrong) {
  ids_error(R"({"ids": [1, -2]})",
            "a.jsonl:7: \"ids\"[1] is -2, must be an integer from 0 to 4294967295");
  ids_error(R"({"ids": [4294967296]})", "\"ids\"[0] is 4294967296");
  ids_error(R"({"ids": [1, 2, 3.5]})", "\"ids\"[2] is 3.5");
  ids_error(R"({"ids": ["1"]})", "\"ids\"[0] is a string");
  ids_error(R"({"ids": [true]})", "\"ids\"[0] is a boolean");
  ids_error(R"({"ids": [[1]]})", "\"ids\"[0] is an array");
  ids_error(R"({"ids": 5})", "\"ids\" is 5, must be an array of token ids");
  ids_error(R"({"text": "a"})", "key \"ids\" is missing");
  ids_error(R"({"ids": [1], "ids": [2]})", "key \"ids\" is there twice");
}

TEST(EitherLine, TakesExactlyOneOfTheTwoKeys) {
  EXPECT_EQ(read_text_or_ids_line(R"({"n": 1, "text": ""})", "x").text, "");
  const TextOrIds line = read_text_or_ids_line(R"({"ids": [], "label": [1]})", "x");
  EXPECT_FALSE(line.text.has_value());
  EXPECT_TRUE(line.ids.empty());
  const auto error = [](const std::string& text, const std::string& part) {
    expect_error(ErrorKind::kData, part, [&] { read_text_or_ids_line(text, "<stdin>:7"); });
  };
  error(R"({"ids": [1], "text": "a"})", "<stdin>:7: has both \"text\" and \"ids\"");
  error(R"({"meta": {"ids": [1]}})", "<stdin>:7: key \"text\" or \"ids\" is missing");
  error(R"({"text": [1]})", "\"text\" is an array, must be a string");
  error(R"({"ids": "a"})", "\"ids\" is a string, must be an array of token ids");
}

}  // namespace
}  // namespace moesaic
