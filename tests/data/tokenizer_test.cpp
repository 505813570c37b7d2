#include "data/tokenizer.h"

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;

TEST(ByteTokenizer, MapsEveryByteToItsValueAndBack) {
  const auto bytes = byte_tokenizer();
  std::string text;
  for (int i = 0; i < 256; ++i) text.push_back(static_cast<char>(i));
  std::vector<std::uint32_t> ids = {7};  // encode appends
  bytes->encode(text, ids);
  ASSERT_EQ(ids.size(), 257U);
  EXPECT_EQ(ids[0], 7U);
  for (std::uint32_t i = 0; i < 256; ++i) EXPECT_EQ(ids[i + 1], i);
  EXPECT_EQ(bytes->decode(std::span(ids).subspan(1)), text);
}

TEST(ByteTokenizer, EndOfTextIsTheLastIdAndHasNoText) {
  const auto bytes = byte_tokenizer();
  EXPECT_EQ(bytes->vocab_size(), 257);
  EXPECT_EQ(bytes->end_of_text(), 256U);
  EXPECT_EQ(bytes->decode(std::vector<std::uint32_t>{'a', 256, 'b'}), "ab");
}

TEST(ByteTokenizer, RefusesIdsOutsideItsVocabulary) {
  expect_error(ErrorKind::kData, "257",
               [] { byte_tokenizer()->decode(std::vector<std::uint32_t>{257}); });
}

TEST(MakeTokenizer, KnowsByteAndFiles) {
  EXPECT_EQ(make_tokenizer("byte")->describe(), byte_tokenizer()->describe());
  expect_error(ErrorKind::kRecipe, "'model/tokenizer.json'",
               [] { make_tokenizer("model/tokenizer.json"); });
}

}  // namespace
}  // namespace moesaic
