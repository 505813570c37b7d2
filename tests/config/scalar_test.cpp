#include "config/scalar.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace moesaic {
namespace {

TEST(Scalar, ReadsNumbersOfTheCoreSchema) {
  EXPECT_EQ(scalar_number("1e-06"), 1e-6);
  EXPECT_EQ(scalar_number("1.0e-6"), 1e-6);
  EXPECT_EQ(scalar_number("+.5"), 0.5);
  EXPECT_EQ(scalar_number("-3."), -3.0);
  EXPECT_EQ(scalar_number("2"), 2.0);
  EXPECT_EQ(scalar_int("010"), 10);
  EXPECT_EQ(scalar_int("0o10"), 8);
  EXPECT_EQ(scalar_int("0x1F"), 31);
  EXPECT_EQ(scalar_int("+7"), 7);
  EXPECT_EQ(scalar_int("-7"), -7);
  EXPECT_EQ(scalar_unsigned("18446744073709551615"), 18446744073709551615U);
}

TEST(Scalar, TakesNothingElseForANumber) {
  for (const char* text : {"", "-", "+", ".", "e5", "1e", "1_000", "1,5", "0x", "0o8", "+-1", "++1",
                           "1 ", "inf", "nan", "infinity", "1e5x", "-0x1", "0x-1"}) {
    EXPECT_FALSE(scalar_number(text).has_value()) << text;
    EXPECT_FALSE(scalar_int(text).has_value()) << text;
  }
  EXPECT_FALSE(scalar_int("9223372036854775808").has_value());
  EXPECT_FALSE(scalar_int("1e3").has_value());
}

TEST(Scalar, KeepsWhatIsNotFiniteVisible) {
  EXPECT_TRUE(std::isinf(*scalar_number(".inf")));
  EXPECT_EQ(*scalar_number("-.INF"), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(*scalar_number(".nan")));
  EXPECT_TRUE(std::isinf(*scalar_number("1e999")));
}

TEST(Scalar, KnowsTrueAndFalseOnly) {
  EXPECT_EQ(scalar_bool("True"), true);
  EXPECT_EQ(scalar_bool("FALSE"), false);
  for (const char* text : {"yes", "no", "on", "off", "y", "1", "tRUE"}) {
    EXPECT_FALSE(scalar_bool(text).has_value()) << text;
  }
}

TEST(YamlText, ReadsBackAsTheSameText) {
  const std::string texts[] = {
      "plain",  "",    "true",  "12",          "1e5",   "null",      "~",       "-x",
      ".inf",   "a b", "a: b",  "#x",          "\"q\"", "new\nline", "\x1B[0m", "\xC3\xA9",
      "/a/b.c", "[x]", "*.txt", "back\\slash", "0x1F",  "<<",        "!t",      "&a"};
  for (const std::string& text : texts) {
    ProblemList problems;
    const YamlNode root = parse_yaml("k: " + yaml_text(text), "t", problems);
    ASSERT_FALSE(problems.has_errors()) << text;
    EXPECT_EQ(to_json(*root.find("k"), "k", problems), Json(text));
  }
  EXPECT_THROW(yaml_text("\xFF"), Error);
}

TEST(YamlNumber, ReadsBackAsTheSameNumber) {
  for (const double value : {0.0, 1.0, -2.5, 1e-8, 3e-4, 1e22, 0.1 + 0.2, 123456789.0}) {
    EXPECT_EQ(scalar_number(yaml_number(value)), value);
  }
  EXPECT_EQ(yaml_number(1.0), "1.0");
}

TEST(ToJson, TypesScalarsAndRefusesWhatIsNotFinite) {
  ProblemList problems;
  const YamlNode root =
      parse_yaml("{a: 1, b: 1e-6, c: true, d: \"1\", e: null, f: [x], g: {h: 2}}", "t", problems);
  const Json expected =
      Json::parse(R"({"a":1,"b":1e-6,"c":true,"d":"1","e":null,"f":["x"],"g":{"h":2}})");
  EXPECT_EQ(to_json(root, "k", problems), expected);
  EXPECT_FALSE(problems.has_errors());
  to_json(parse_yaml("{a: .nan}", "t", problems), "k", problems);
  EXPECT_TRUE(problems.has_error("k.a"));
}

}  // namespace
}  // namespace moesaic
