#include "core/file_glob.h"

#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::silent;
using testing::TemporaryFolder;

TEST(ExpandFiles, AreInByteOrder) {
  const TemporaryFolder folder;
  for (const char* name : {"b.txt", "a10.txt", "a2.txt", "B.txt", "c.md"}) folder.file(name, "x");
  std::vector<std::string> expected;
  for (const char* name : {"B.txt", "a10.txt", "a2.txt", "b.txt"}) {
    expected.push_back(folder.path() + "/" + name);
  }
  EXPECT_EQ(expand_files(folder.path() + "/*.txt", silent()), expected);
}

TEST(ExpandFiles, AFileOfThatNameIsTakenAsItIs) {
  const TemporaryFolder folder;
  folder.file("a.txt", "x");
  const std::string odd = folder.file("[a].txt", "x");
  EXPECT_EQ(expand_files(odd, silent()), std::vector<std::string>{odd});
}

TEST(ExpandFiles, NoMatchNamesPatternAndWorkingDirectory) {
  expect_error(ErrorKind::kData,
               "'no/such/*.txt' matches no file (working directory " +
                   std::filesystem::current_path().string(),
               [] { expand_files("no/such/*.txt", silent()); });
  expect_error(ErrorKind::kData, "'~/a.txt'", [] { expand_files("~/a.txt", silent()); });
  expect_error(ErrorKind::kData, "''", [] { expand_files("", silent()); });
}

TEST(ExpandFiles, FoldersAreNoFiles) {
  const TemporaryFolder folder;
  folder.file("sub/a.txt", "x");
  const std::string file = folder.file("b.txt", "x");
  expect_error(ErrorKind::kData, "is a folder", [&] { expand_files(folder.path(), silent()); });
  EXPECT_EQ(expand_files(folder.path() + "/*", silent()), std::vector<std::string>{file});
}

}  // namespace
}  // namespace moesaic
