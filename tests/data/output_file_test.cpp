#include "data/output_file.h"

#include <sys/stat.h>

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using Names = std::vector<std::string>;

TEST(OutputFile, HasItsNameOnceItIsPublished) {
  const TemporaryFolder folder;
  const std::string path = folder.file("out", "old");
  OutputFile file(path);
  file.write("a\n");
  file.write("b\n");
  EXPECT_EQ(read_file(path), "old");
  file.publish();
  EXPECT_EQ(read_file(path), "a\nb\n");
  EXPECT_EQ(folder.names(""), Names{"out"});
}

TEST(OutputFile, LeavesNothingWhenItIsNot) {
  const TemporaryFolder folder;
  { OutputFile(folder.path() + "/out").write("half"); }
  EXPECT_EQ(folder.names(""), Names{});
}

TEST(OutputFile, ReplacesTheFileBehindALinkAndNotTheLink) {
  const TemporaryFolder folder;
  const std::string path = folder.file("out", "old"), link = folder.path() + "/link";
  std::filesystem::create_symlink("out", link);
  OutputFile file(link);
  file.write("new");
  file.publish();
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read_file(path), "new");
}

TEST(OutputFile, ADeviceIsWrittenAndNotReplaced) {
  OutputFile file("/dev/null");
  file.write("gone");
  file.publish();
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  expect_error(ErrorKind::kCheckpoint, "cannot write /dev/full: No space",
               [] { OutputFile("/dev/full").write("x"); });
}

TEST(OutputFile, WhatCannotBeWrittenIsRefusedAtOnce) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kCheckpoint, "it is a folder", [&] { OutputFile file(folder.path()); });
  expect_error(ErrorKind::kCheckpoint, "cannot write",
               [&] { OutputFile file(folder.path() + "/none/out"); });
}

}  // namespace
}  // namespace moesaic
