#include "monitor/file_change.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.h"

namespace moesaic {
namespace {

TEST(FileChange, SeesAFileThatComesOrIsWrittenToOrReplaced) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/file";
  const FileChange before(path);
  EXPECT_FALSE(before.has_changed());
  folder.file("file", "a");
  EXPECT_TRUE(before.has_changed());

  const FileChange written(path);
  EXPECT_FALSE(written.has_changed());
  std::ofstream(path, std::ios::app) << "b";
  EXPECT_TRUE(written.has_changed());
  const FileChange now(path);
  folder.file("other", "ab");
  std::filesystem::rename(folder.path() + "/other", path);
  EXPECT_TRUE(now.has_changed());
}

TEST(FileChange, SeesNothingInWhatIsNoFile) {
  const testing::TemporaryFolder folder;
  EXPECT_FALSE(FileChange(folder.path()).has_changed());
  const FileChange gone(folder.file("gone", "a"));
  std::filesystem::remove(gone.path());
  EXPECT_FALSE(gone.has_changed());
}

}  // namespace
}  // namespace moesaic
