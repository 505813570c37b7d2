#include "monitor/rank_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/format.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

// The fields of proc(5) from the third on: state, then 4 to 24.
constexpr const char* kFields =
    " T 4 5 6 7 8 9 10 11 12 13 300 200 16 17 18 19 3 21 22 23 1000 25\n";

TEST(RankProcess, IsReadFromTheFilesOfTheSystem) {
  const testing::TemporaryFolder proc;
  proc.file("42/stat", format("42 (moesaic-worker){}", kFields));
  proc.file("42/io", "rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\n");
  const auto process = rank_process(42, proc.path());
  ASSERT_TRUE(process);
  EXPECT_FALSE(process->runs());
  EXPECT_DOUBLE_EQ(process->cpu_s, 500.0 / static_cast<double>(::sysconf(_SC_CLK_TCK)));
  EXPECT_DOUBLE_EQ(process->resident_bytes, 1000.0 * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  EXPECT_EQ(process->threads, 3);
  EXPECT_EQ(process->read_bytes, 4096);
  EXPECT_EQ(process->written_bytes, 8192);
}

TEST(RankProcess, IsNoOtherProgramAndNoneThatIsGone) {
  const testing::TemporaryFolder proc;
  proc.file("1/stat", format("1 (a) moesaic-worker){}", kFields));
  proc.file("2/stat", "2 (moesaic-worker");
  proc.file("3/stat", "");
  for (int pid = 1; pid <= 4; ++pid) EXPECT_FALSE(rank_process(pid, proc.path())) << pid;
}

TEST(RankProcess, DoesWithoutWhatTheSystemHides) {
  const testing::TemporaryFolder proc;
  proc.file("7/stat", "7 (moesaic-worker-) S 1");
  const auto process = rank_process(7, proc.path());
  ASSERT_TRUE(process);
  EXPECT_TRUE(process->runs());
  EXPECT_FALSE(process->read_bytes);
}

}  // namespace
}  // namespace moesaic
