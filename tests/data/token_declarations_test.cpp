// Tokens that only the files beside a tokenizer.json declare. tests/parity/declared_tokens_test.py
// compares them with Transformers.
#include "data/text/token_declarations.h"

#include <gtest/gtest.h>

#include "data/test_data.h"
#include "data/text/text_tokenizer.h"

namespace moesaic {
namespace {

using Ids = std::vector<std::uint32_t>;

constexpr const char* kTokenizer =
    R"({"added_tokens": [{"id": 8, "content": "<p>", "special": true}],
  "pre_tokenizer": null, "decoder": null,
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "<": 2, ">": 3, "x": 4, "y": 5, " ": 6, "<s>": 7},
  "merges": []}})";

struct Files {
  std::string config = "", special_tokens_map = "", added_tokens = "";
};

std::unique_ptr<Tokenizer> tokenizer(const Files& files) {
  return text_tokenizer(
      {"here", kTokenizer, files.config, files.special_tokens_map, files.added_tokens});
}

Ids encode(const Files& files, std::string_view text) {
  Ids ids;
  tokenizer(files)->encode(text, ids);
  return ids;
}

TEST(TokenDeclarations, NamedTokensAreFoundInTexts) {
  EXPECT_EQ(encode({}, "a<x>"), (Ids{0, 2, 4, 3}));
  for (const Files& files :
       {Files{.config = R"({"eos_token": "<s>"})"},
        Files{.special_tokens_map = R"({"eos_token": {"content": "<s>", "lstrip": false}})"},
        Files{.config = R"({"eos_token": "<p>"})",
        .special_tokens_map = R"({"eos_token": "<s>"})"}}) {
    EXPECT_EQ(encode(files, "a<s>b"), (Ids{0, 7, 1}));
    EXPECT_EQ(tokenizer(files)->end_of_text(), 7U);
  }
  const Files both{.config = R"({"eos_token": "<p>", "added_tokens_decoder": {}})",
                   .special_tokens_map = R"({"eos_token": "<s>"})"};
  EXPECT_EQ(tokenizer(both)->end_of_text(), 8U);
}

TEST(TokenDeclarations, NewTokensGetTheNextIds) {
  EXPECT_EQ(encode({.added_tokens = R"({"<x>": 10, "<y>": 9})"}, "<x><y>"), (Ids{10, 9}));
  EXPECT_EQ(encode({.added_tokens = R"({"<x>": 40, "<y>": 20})"}, "<x><y>"), (Ids{10, 9}));
  EXPECT_EQ(encode({.added_tokens = R"({"<x>": 8})"}, "<x>"), (Ids{2, 4, 3}));  // the file's own
  EXPECT_EQ(encode({.config = R"({"added_tokens_decoder": {"9": {"content": "<x>"}}})",
                    .added_tokens = R"({"<y>": 10})"},
                   "<x><y>"),
            (Ids{9, 2, 5, 3}));
  EXPECT_EQ(
      encode({.config = R"({"pad_token": "<y>", "additional_special_tokens": ["<x>"]})"}, "<x><y>"),
      (Ids{10, 9}));
}

TEST(TokenDeclarations, TheirPropertiesHold) {
  const Files lstrip{
      .config =
          R"({"added_tokens_decoder": {"8": {"content": "<p>", "lstrip": true, "special": true}}})"};
  EXPECT_EQ(encode(lstrip, "a <p>"), (Ids{0, 8}));
  EXPECT_EQ(encode({}, "a <p>"), (Ids{0, 6, 8}));
  const Files split{.config = R"({"eos_token": "<x>", "split_special_tokens": true})"};
  EXPECT_EQ(encode(split, "a<x>"), (Ids{0, 2, 4, 3}));
}

TEST(TokenDeclarations, AreInTheDescriptionWhereTheyChangeIds) {
  EXPECT_EQ(tokenizer({})->describe(),
            tokenizer({.config = R"({"pad_token": "<p>"})"})->describe());
  EXPECT_NE(tokenizer({})->describe(),
            tokenizer({.config = R"({"pad_token": "<s>"})"})->describe());
}

TEST(TokenDeclarations, DamagedFilesAreRefused) {
  const auto refused = [](const Files& files, const std::string& part) {
    testing::expect_error(ErrorKind::kData, part, [&] { tokenizer(files); });
  };
  refused({.config = "[]"}, "tokenizer_config.json");
  refused({.config = R"({"eos_token": 5})"}, "eos_token");
  refused({.config = R"({"added_tokens_decoder": {"x": {"content": "a"}}})"}, "'x' is no token id");
  refused({.config = R"({"added_tokens_decoder": {"9": {}}})"}, "content");
  refused({.config = R"({"added_tokens_decoder": []})"}, "added_tokens_decoder");
  refused({.config = R"({"additional_special_tokens": "<x>"})"}, "list");
  refused({.added_tokens = R"({"<x>": "9"})"}, "<x>");
  refused({.added_tokens = "[1]"}, "added_tokens.json");
  refused({.special_tokens_map = "{"}, "special_tokens_map.json");
}

TEST(UnusableTokenizer, SaysWhyWhenItIsUsed) {
  const auto none = unusable_tokenizer(Error(ErrorKind::kData, "no reader for this"));
  Ids ids;
  testing::expect_error(ErrorKind::kData, "no reader", [&] { none->encode("a", ids); });
  testing::expect_error(ErrorKind::kData, "no reader", [&] { none->clone()->end_of_text(); });
}

}  // namespace
}  // namespace moesaic
