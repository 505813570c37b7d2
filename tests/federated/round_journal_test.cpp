#include "federated/round_journal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "core/fs.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

void write_three(const std::string& path) {
  RoundJournal journal(path);
  journal.append({{"event", "answer"}, {"round", 1}, {"silo", "a"}});
  journal.append({{"event", "answer"}, {"round", 1}, {"silo", "b"}});
  journal.append({{"event", "close"}, {"round", 1}});
}

TEST(RoundJournal, ReadsBackWhatWasAppended) {
  const testing::TempFolder folder;
  const std::string path = folder.file("journal.jsonl");
  write_three(path);
  const std::string run = RoundJournal(path).run();
  EXPECT_EQ(run.size(), 32U);
  const RoundJournal journal(path);
  EXPECT_EQ(journal.run(), run);
  ASSERT_EQ(journal.find("answer", 1).size(), 2U);
  EXPECT_EQ(journal.find("answer", 1)[1].at("silo"), "b");
  EXPECT_EQ(journal.find("answer", 2).size(), 0U);
  EXPECT_EQ(journal.last("close"), 1);
  EXPECT_EQ(journal.last("row"), -1);
}

TEST(RoundJournal, RunsHaveDifferentNames) {
  const testing::TempFolder folder;
  EXPECT_NE(RoundJournal(folder.file("a")).run(), RoundJournal(folder.file("b")).run());
}

// Whole lines count, wherever the writing was cut off; and what is appended then reads back.
TEST(RoundJournal, GoesOnAfterACutAtEveryByte) {
  const testing::TempFolder folder;
  const std::string path = folder.file("journal.jsonl");
  write_three(path);
  const std::string text = read_file(path);
  const auto whole_lines = [](std::string_view part) {
    return static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n'));
  };
  for (std::size_t length = 0; length <= text.size(); ++length) {
    write_file_atomic(path, std::string_view(text).substr(0, length));
    const std::size_t lines = whole_lines(std::string_view(text).substr(0, length));
    {
      RoundJournal journal(path);
      ASSERT_EQ(journal.events().size(), std::max<std::size_t>(1, lines)) << length;
      journal.append({{"event", "row"}, {"round", 1}});
    }
    ASSERT_EQ(RoundJournal(path).last("row"), 1) << length;
  }
}

TEST(RoundJournal, RefusesAChangedLine) {
  const testing::TempFolder folder;
  const std::string path = folder.file("journal.jsonl");
  write_three(path);
  const std::string text = read_file(path);
  std::string changed = text;
  changed[changed.find("\"a\"") + 1] = 'c';
  write_file_atomic(path, changed);
  EXPECT_THROW(RoundJournal journal(path), Error);
  const std::size_t first = text.find('\n') + 1, second = text.find('\n', first) + 1;
  write_file_atomic(path, text.substr(0, first) + text.substr(second));  // a line is gone
  EXPECT_THROW(RoundJournal journal(path), Error);
  write_file_atomic(path, "no JSON\n" + text);
  EXPECT_THROW(RoundJournal journal(path), Error);
}

}  // namespace
}  // namespace moesaic
