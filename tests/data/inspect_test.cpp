#include "data/inspect.h"

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_tokens;

TEST(InspectTokenFile, CountsAndShowsTheBeginning) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{'H', 'i', 256}, {0xe9, 256}});  // 0xe9 alone is not UTF-8
  const Json seen = inspect_token_file(path, byte_tokenizer().get());
  EXPECT_EQ(seen.at("ids"), 5);
  EXPECT_EQ(seen.at("documents"), 2);
  EXPECT_EQ(seen.at("max_id"), 256);
  EXPECT_EQ(seen.at("id_bytes"), 2);
  EXPECT_EQ(seen.at("digest_ok"), true);
  EXPECT_EQ(seen.at("first_ids"), Json({'H', 'i', 256, 0xe9, 256}));
  EXPECT_EQ(seen.at("first_text"), "Hi\ufffd");
  EXPECT_NO_THROW(seen.dump());
  EXPECT_NE(readable_token_file(seen).find("(matches)"), std::string::npos);
}

// The file does not say whose ids they are: small ones may be those of any tokenizer.
TEST(InspectTokenFile, ShowsTextByTheGivenTokenizerAlone) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{'H', 'i', 256}});
  EXPECT_FALSE(inspect_token_file(path).contains("first_text"));
  EXPECT_NE(readable_token_file(inspect_token_file(path)).find("begins     [72,105,256]"),
            std::string::npos);
  write_tokens(path, {{1000, 2}});
  expect_error(ErrorKind::kData, "its largest id is 1000, and the tokenizer has 0 to 256",
               [&] { inspect_token_file(path, byte_tokenizer().get()); });
}

TEST(InspectTokenFile, CountsTargetsAndOwnersWhereTheFileTellsThem) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{1, 2, 3}, {4}});
  const Json plain = inspect_token_file(path);
  EXPECT_EQ(plain.at("version"), 1);
  EXPECT_FALSE(plain.contains("targets") || plain.contains("owners"));
  EXPECT_EQ(readable_token_file(plain).find("owners"), std::string::npos);
  write_tokens(path, {{1, 2, 3}, {4}}, 2, {{0, 0, 1}, {1}}, {"eve", "eve"});
  const Json seen = inspect_token_file(path);
  EXPECT_EQ(seen.at("version"), 2);
  EXPECT_EQ(seen.at("targets"), 2);
  EXPECT_EQ(seen.at("owners"), 1);
  EXPECT_NE(readable_token_file(seen).find("targets    2 of"), std::string::npos);
  EXPECT_NE(readable_token_file(seen).find("owners     1"), std::string::npos);
}

TEST(InspectTokenFile, SaysWhenTheContentIsDamaged) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{1, 2, 3}});
  std::string content = read_file(path);
  content[sizeof(TokenFileHeader)] ^= 1;
  write_file_atomic(path, content);
  const Json seen = inspect_token_file(path);
  EXPECT_EQ(seen.at("digest_ok"), false);
  EXPECT_NE(readable_token_file(seen).find("DOES NOT MATCH"), std::string::npos);
}

TEST(InspectTokenFile, OtherFilesAreErrors) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.tokens", "no");
  expect_error(ErrorKind::kData, "a.tokens", [&] { inspect_token_file(path); });
}

}  // namespace
}  // namespace moesaic
