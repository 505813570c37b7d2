// Token files of instruction data, and of files with lines that cannot be read.
#include "data/corpus.h"
#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::silent;
using testing::TemporaryFolder;
using Bits = std::vector<std::uint8_t>;

TEST(InstructionCorpus, HasTargetBitsAndIsKnownByWhatItsLinesHold) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.jsonl", R"({"prompt": "ab", "completion": "c"})");
  const BuiltSource built =
      build_token_file({.path = path}, *byte_tokenizer(), folder.path() + "/cache", silent());
  const auto tokens = TokenFile::open(built.file.path);
  ASSERT_EQ(tokens->ids(), 4);
  Bits bits(4);
  tokens->copy_target_bits(0, 4, bits.data());
  EXPECT_EQ(bits, (Bits{0, 0, 1, 1}));
  EXPECT_TRUE(built.file.of_text);
}

TEST(InstructionCorpus, LeavesOutBadLinesWhereThatIsAsked) {
  const TemporaryFolder folder;
  const std::string path =
      folder.file("a.jsonl", "{\"text\": \"a\"}\n{\"text\": 1}\nnothing\n{\"text\": \"b\"}\n");
  const SourceOptions source{.path = path, .format = "jsonl"};
  const std::string cache = folder.path() + "/cache";
  const EncodeOptions skip{.on_error = "skip"};
  const BuiltSource built = build_token_file(source, *byte_tokenizer(), cache, silent(), skip);
  EXPECT_EQ(built.bad_lines, 2U);
  EXPECT_EQ(TokenFile::open(built.file.path)->documents(), 2);
  // What was left out once stops a run that does not want that.
  expect_error(ErrorKind::kData, "a.jsonl:2:",
               [&] { build_token_file(source, *byte_tokenizer(), cache, silent()); });
  const SourceOptions none{.path = folder.file("b.jsonl", "{}\n"), .format = "jsonl"};
  expect_error(ErrorKind::kData, "no text in",
               [&] { build_token_file(none, *byte_tokenizer(), cache, silent(), skip); });
}

}  // namespace
}  // namespace moesaic
