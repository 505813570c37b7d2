#include "core/file_kind.h"

#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using namespace std::string_view_literals;
using testing::expect_error;

TEST(FileKind, IsNamedByTheFirstBytes) {
  const std::pair<std::string_view, const char*> cases[] = {
      {"\x1f\x8b\x08\0\0"sv, "gzip data"},
      {"\x28\xb5\x2f\xfd$"sv, "Zstandard data"},
      {"BZh91AY&SY\x12"sv, "bzip2 data"},
      {"PK\x03\x04"sv, "a zip archive"},
      {"PAR1\x15\x04"sv, "a Parquet file"},
      {"MOESAICT\1\0\0\0"sv, "a token file"},
      {"\xff\xfe{\0\"\0"sv, "UTF-16 or UTF-32 text"},
      {"\xfe\xff\0{"sv, "UTF-16 or UTF-32 text"},
      {"{\0\"\0t\0"sv, "UTF-16 or UTF-32 text"},
      {"\0{\0\""sv, "UTF-16 or UTF-32 text"}};
  for (const auto& [head, name] : cases) {
    ASSERT_TRUE(file_kind(head).has_value()) << name;
    EXPECT_EQ(file_kind(head)->name, name);
    EXPECT_FALSE(file_kind(head)->remedy.empty());
  }
}

TEST(FileKind, IsNothingForPlainTextAndForBytesThatSayNothing) {
  for (const std::string_view head : {""sv, "{\"text\": \"a\"}"sv, "\xEF\xBB\xBF{"sv, "BZhang"sv,
                                      "PAR1 is a golf term"sv, "\xe4\xf6"sv, "\0\1\2"sv}) {
    EXPECT_FALSE(file_kind(head).has_value()) << head;
  }
}

TEST(FileKind, LinesOfJsonAreReadFromPlainTextAlone) {
  EXPECT_NO_THROW(require_plain_text("{}", "a"));
  expect_error(ErrorKind::kData, "a.jsonl.gz is gzip data, must be lines of JSON in UTF-8",
               [] { require_plain_text("\x1f\x8b", "a.jsonl.gz"); });
}

}  // namespace
}  // namespace moesaic
