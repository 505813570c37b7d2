#include "monitor/line_tail.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using Texts = std::vector<std::string>;

class LineTailTest : public ::testing::Test {
 protected:
  void append(const std::string& text) const { std::ofstream(path, std::ios::app) << text; }
  /// Another file of that name, as an atomic write makes it.
  void replace(const std::string& text) const {
    std::ofstream(path + ".tmp") << text;
    std::filesystem::rename(path + ".tmp", path);
  }

  testing::TemporaryFolder folder;
  std::string path = folder.path() + "/rows";
};

TEST_F(LineTailTest, GivesEachWholeLineOnce) {
  LineTail tail(path);
  EXPECT_TRUE(tail.read().whole.empty());  // no file yet
  append("a\nb\nc");
  EXPECT_EQ(tail.read().whole, (Texts{"a", "b"}));
  EXPECT_TRUE(tail.read().whole.empty());  // the last line is still being written
  append("d\n\ne\n");
  EXPECT_EQ(tail.read().whole, (Texts{"cd", "", "e"}));
}

TEST_F(LineTailTest, BeginsAgainWithAFileThatWasCutBackOrReplaced) {
  append("a\nb\n");
  LineTail tail(path);
  EXPECT_TRUE(tail.read().from_start);
  append("c\n");
  EXPECT_FALSE(tail.read().from_start);
  replace("a\nb\nc\nd\n");
  const LineTail::Lines replaced = tail.read();
  EXPECT_TRUE(replaced.from_start);
  EXPECT_EQ(replaced.whole, (Texts{"a", "b", "c", "d"}));
  std::filesystem::resize_file(path, 2);
  const LineTail::Lines cut = tail.read();
  EXPECT_TRUE(cut.from_start);
  EXPECT_EQ(cut.whole, Texts{"a"});
}

TEST_F(LineTailTest, ReadsALongFileInPiecesAndPassesOverALineThatIsTooLong) {
  const std::string half(LineTail::kMostBytes / 2, 'x');
  append("first\n" + half + "\n" + half + half + half + "\nlast\n");
  LineTail tail(path);
  Texts all;
  for (int i = 0; i < 5; ++i) {
    for (std::string& line : tail.read().whole) all.push_back(std::move(line));
  }
  EXPECT_EQ(all, (Texts{"first", half, "last"}));
}

TEST_F(LineTailTest, TellsAFileOfBeforeFromOneThatIsWrittenTo) {
  append("old\n");
  const LineTail tail(path);
  EXPECT_FALSE(tail.has_changed());
  append("new\n");
  EXPECT_TRUE(tail.has_changed());
}

TEST_F(LineTailTest, ReadsNothingOfWhatIsNoFile) {
  std::filesystem::create_directory(path);
  EXPECT_TRUE(LineTail(path).read().whole.empty());
  EXPECT_FALSE(LineTail(path).has_changed());
}

}  // namespace
}  // namespace moesaic
