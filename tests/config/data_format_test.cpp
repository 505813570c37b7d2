#include "config/data_format.h"

#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::silent;
using testing::TemporaryFolder;

constexpr const char* kText = "{\"id\": 1, \"meta\": {\"ids\": 2}, \"text\": \"a\"}\n{}\n";
constexpr const char* kIds = "\n {\"ids\": [1, 2]}\n";
const std::string kGzip("\x1f\x8b\x08\0", 4);
const std::string kWide("\xff\xfe{\0\"\0", 6);

class DataFormats : public ::testing::Test {
 protected:
  DataFormat of(const std::string& name, const std::string& content,
                const std::string& wanted = "auto") {
    return with_format({folder_.file(name, content)}, wanted).format;
  }
  std::vector<std::string> warnings(const std::string& name, const std::string& content,
                                    const std::string& wanted) {
    return with_format({folder_.file(name, content)}, wanted).warnings;
  }
  void expect_refused(const std::string& name, const std::string& content, const std::string& part,
                      const std::string& wanted = "auto") {
    expect_error(ErrorKind::kData, part, [&] { of(name, content, wanted); });
  }

  TemporaryFolder folder_;
};

TEST_F(DataFormats, AutoGoesByTheContentWhateverTheName) {
  for (const char* const name :
       {"a.jsonl", "a.ndjson", "a.JSONL", "a.json", "a.txt", "a", "a.gz"}) {
    EXPECT_EQ(of(name, kText), DataFormat::kJsonl) << name;
    EXPECT_EQ(of(name, kIds), DataFormat::kTokens) << name;
    EXPECT_EQ(of(name, "MOESAICT and more"), DataFormat::kTokenFile) << name;
    expect_refused(name, kGzip, "gzip data");
    expect_refused(name, kWide, "UTF-16");
    expect_refused(name, "\n{\"ids\": [1], \"text\": \"\"}", ":2: has both \"text\" and \"ids\"");
    EXPECT_EQ(of(name, "{\"messages\": []}\n"), DataFormat::kChat) << name;
    EXPECT_EQ(of(name, "{\"prompt\": \"a\", \"completion\": \"b\"}\n"),
              DataFormat::kPromptCompletion)
        << name;
    expect_refused(name, "{\"body\": \"a\"}\n", "an object with \"body\"");
    expect_refused(name, "[{\"text\": \"a\"}]\n", "an array");
  }
}

TEST_F(DataFormats, TheNameDecidesWhereTheContentLeavesItOpen) {
  for (const char* const content : {"", "a text\n", "{ broken\n"}) {
    EXPECT_EQ(of("a.txt", content), DataFormat::kText) << content;
    EXPECT_EQ(of("a.Jsonl", content), DataFormat::kJsonl)
        << content;  // its reader says what is wrong
    EXPECT_EQ(of("a.NDJSON", content), DataFormat::kJsonl) << content;
    EXPECT_EQ(of("a.tokens", content), DataFormat::kTokenFile) << content;
  }
  expect_refused("a.json", "{\n  \"text\": \"a\"\n}\n", "JSON over several lines");
  EXPECT_EQ(of("a.c", "{\n  return 0;\n}\n"), DataFormat::kText);
  EXPECT_EQ(of("a.md", "[link] to {text}\n"), DataFormat::kText);
  EXPECT_EQ(of("a.txt", std::string("\xff\xfeh\0", 4)),
            DataFormat::kText);  // bytes in any encoding
  expect_refused("a.jsonl", std::string("\xff\xfeh\0", 4), "UTF-16");
}

TEST_F(DataFormats, AKeyIsFoundInALongLineToo) {
  const std::string filler(100'000, 'x');
  EXPECT_EQ(of("a", "{\"id\": \"" + filler + "\", \"text\": \"a\"}"), DataFormat::kJsonl);
  EXPECT_EQ(of("a", "{\"text\": \"" + std::string(2 << 20, 'x') + "\"}"), DataFormat::kJsonl);
  EXPECT_EQ(of("a", "\xEF\xBB\xBF\r\n{\"text\": \"a\"}\r\n"), DataFormat::kJsonl);
}

TEST_F(DataFormats, WhatIsGivenDecidesAndWhatContradictsIsWarnedOf) {
  EXPECT_EQ(of("a.jsonl", kText, "text"), DataFormat::kText);
  for (const char* const content : {kText, kIds, "{\"messages\": 1}", "{\n \"text\": 1}"}) {
    const auto found = warnings("a.jsonl", content, "text");
    ASSERT_EQ(found.size(), 1U) << content;
    EXPECT_NE(found[0].find("a.jsonl: lines of JSON"), std::string::npos) << found[0];
  }
  EXPECT_EQ(warnings("a.txt", kText, "text").size(), 1U);
  EXPECT_EQ(warnings("a.txt", kGzip, "text").size(), 1U);
  for (const char* const content : {"prose\n", "", "{ return 0; }\n"})
    EXPECT_TRUE(warnings("a.txt", content, "text").empty()) << content;
  EXPECT_TRUE(warnings("a.json", "{\"name\": \"x\"}\n", "text").empty());
}

TEST_F(DataFormats, WhatCannotBeReadAsGivenIsRefused) {
  expect_refused("a.txt", "MOESAICT", "is a token file, and format is text", "text");
  expect_refused("a.txt", "MOESAICT", "is a token file, and format is jsonl", "jsonl");
  for (const char* const wanted : {"jsonl", "tokens"}) {
    expect_refused("a.jsonl.gz", kGzip, "a.jsonl.gz is gzip data", wanted);
    expect_refused("a.jsonl", kWide, "a.jsonl is UTF-16", wanted);
  }
  EXPECT_EQ(of("a.jsonl", kIds, "tokens"), DataFormat::kTokens);
  EXPECT_EQ(of("a.tokens", kIds, "tokens"), DataFormat::kTokens);
  EXPECT_EQ(of("a.bin", "MOESAICT", "tokens"), DataFormat::kTokenFile);
  EXPECT_EQ(of("a.tokens", "damaged", "tokens"), DataFormat::kTokenFile);
  expect_error(ErrorKind::kRecipe, "'json' is unknown", [&] { of("a", "", "json"); });
  expect_error(ErrorKind::kData, "not a regular file",
               [&] { with_format({folder_.path()}, "auto"); });
}

TEST_F(DataFormats, AllFilesOfASourceHaveOne) {
  folder_.file("1.jsonl", kText);
  folder_.file("2.ndjson", kText);
  folder_.file("3.txt", "");
  const SourceOptions source{.path = folder_.path() + "/*"};
  const DataFiles data = find_data(source, silent());
  EXPECT_EQ(data.format, DataFormat::kJsonl);
  EXPECT_EQ(data.files.size(), 3U);
  folder_.file("4.txt", "prose");
  expect_error(ErrorKind::kData, "4.txt like text", [&] { find_data(source, silent()); });
  EXPECT_EQ(find_data({.path = source.path, .format = "jsonl"}, silent()).format,
            DataFormat::kJsonl);
}

}  // namespace
}  // namespace moesaic
