// The tokenizer of a tokenizer.json: small files written here. tests/parity/tokenizer_test.py
// compares it with the library that these files come from.
#include "data/text/text_tokenizer.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "data/test_data.h"
#include "data/text/regex.h"

namespace moesaic {
namespace {

using Ids = std::vector<std::uint32_t>;

// "he" and "hell" are joined before "lo"; G-dot is the blank of the byte alphabet.
Json small_bpe() {
  return parse_json(R"({"added_tokens": [{"id": 12, "content": "<|endoftext|>", "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "E", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "pair": [], "special_tokens": {"E": {"id": "E", "ids": [12], "tokens": ["<|endoftext|>"]}}},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"h": 0, "e": 1, "l": 2, "o": 3, "Ġ": 4, "he": 5, "ll": 6,
      "hell": 7, "lo": 8, "Ġhell": 9, "Ã": 10, "¤": 11},
      "merges": ["h e", "l l", "he ll", ["l", "o"], "Ġ hell"]}})",
                    "small");
}

Ids encode(const Json& file, std::string_view text) {
  Ids ids;
  text_tokenizer(file.dump(), "small")->encode(text, ids);
  return ids;
}

void expect_refused(const Json& file, const std::string& part) {
  testing::expect_error(ErrorKind::kData, part, [&] { text_tokenizer(file.dump(), "small"); });
}

TEST(TextTokenizer, JoinsByRankAndFindsAddedTokens) {
  const auto tokenizer = text_tokenizer(small_bpe().dump(), "small");
  Ids ids;
  tokenizer->encode("hello hell<|endoftext|>lo", ids);
  EXPECT_EQ(ids, (Ids{7, 3, 9, 12, 8}));
  EXPECT_EQ(tokenizer->decode(ids), "hello helllo");
  EXPECT_EQ(tokenizer->decode(ids, /*keep_special=*/true), "hello hell<|endoftext|>lo");
  EXPECT_EQ(tokenizer->end_of_text(), 12U);
  EXPECT_EQ(tokenizer->vocab_size(), 13);
  ids.clear();
  tokenizer->clone()->encode_with_special("he", ids);
  EXPECT_EQ(ids, (Ids{12, 5}));
}

TEST(TextTokenizer, GivesTheSameIdsForShortAndLongPieces) {
  std::string word;
  Ids wanted;
  for (int i = 0; i < 500; ++i) {
    word += "hello";
    wanted.insert(wanted.end(), {7, 3});
    if (i % 50 != 0) continue;
    EXPECT_EQ(encode(small_bpe(), word), wanted) << i;
  }
}

TEST(TextTokenizer, RefusesBytesThatAreNoUtf8) {
  EXPECT_EQ(encode(small_bpe(), "\xC3\xA4"), (Ids{10, 11}));
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"h\xC3", "text: the byte 0xc3 at offset 1 is not valid UTF-8"},
           {"he\xFF", "text: the byte 0xff at offset 2 is not valid UTF-8"},
           {"\xED\xA0\x80", "at offset 0"}}) {  // a surrogate
    try {
      encode(small_bpe(), text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  }
}

TEST(TextTokenizer, PassesOverTheFirstLineOfAMergesFile) {
  Json file = small_bpe();
  file["model"]["merges"].insert(file["model"]["merges"].begin(), "#version: 0.2");
  EXPECT_EQ(encode(file, "hello"), encode(small_bpe(), "hello"));
}

TEST(TextTokenizer, DecodesAddedTokensAsTheyAreFound) {
  Json file = small_bpe();
  file["normalizer"] = {{"type", "Lowercase"}};
  const auto token = [](int id, const char* content, bool special, bool normalized) {
    return Json{{"id", id}, {"content", content}, {"special", special}, {"normalized", normalized}};
  };
  file["added_tokens"] = {token(12, "<|endoftext|>", true, false), token(13, "<A>", false, true),
                          token(14, "<B>", true, true), token(15, "<C>", true, false)};
  const auto tokenizer = text_tokenizer(file.dump(), "small");
  Ids ids;
  tokenizer->encode("<a><A><B>", ids);
  EXPECT_EQ(ids, (Ids{13, 13, 14}));
  ids = {13, 14, 15};
  EXPECT_EQ(tokenizer->decode(ids, /*keep_special=*/true), "<a><b><C>");
  EXPECT_EQ(tokenizer->decode(ids), "<a><b>");  // what is left out is called "<B>"
}

TEST(TextTokenizer, NamesWhatItDoesNotSupport) {
  Json file = small_bpe();
  file["model"]["dropout"] = 0.1;
  expect_refused(file, "dropout");
  file = small_bpe();
  file["normalizer"] = {{"type", "Precompiled"}};
  expect_refused(file, "'Precompiled'");
  file = small_bpe();
  file["pre_tokenizer"]["type"] = "UnicodeScripts";
  expect_refused(file, "'UnicodeScripts'");
  file = small_bpe();
  file["model"]["vocab"] = Json::array({Json::array({"a", -1.5})});
  expect_refused(file, "Unigram");
  file = small_bpe();
  file["decoder"]["type"] = "CTC";
  expect_refused(file, "'CTC'");
}

TEST(TextTokenizer, RefusesDamagedFiles) {
  Json file = small_bpe();
  file["model"]["merges"].push_back("o h");
  expect_refused(file, "'oh'");
  file = small_bpe();
  file["model"]["merges"].push_back("one two three");
  expect_refused(file, "one two three");
  for (const Json& merges : {Json("h e\nl l"), Json(""), Json(nullptr), Json(3), Json::object()}) {
    file = small_bpe();
    file["model"]["merges"] = merges;
    expect_refused(file, "merges");
  }
  file = small_bpe();
  file["model"].erase("merges");
  expect_refused(file, "merges is missing");
  file = small_bpe();
  file["model"]["vocab"]["x"] = 0;
  expect_refused(file, "same id 0");
  file = small_bpe();
  file["model"]["vocab"]["x"] = 2'000'000'000;
  expect_refused(file, "2000000000");
  file = small_bpe();
  file["added_tokens"][0]["content"] = "he";
  expect_refused(file, "'he' has id 12");
  expect_refused(Json::array(), "object");
  testing::expect_error(ErrorKind::kData, "small",
                        [] { text_tokenizer("{\"model\": {", "small"); });
}

TEST(Regex, StopsAPatternThatBacktracksWithoutEnd) {
  const Regex regex("(a*)*b|(a|aa)+$", "here");
  testing::expect_error(ErrorKind::kData, "here",
                        [&] { regex.find_all(std::string(5000, 'a') + "c"); });
}

}  // namespace
}  // namespace moesaic
