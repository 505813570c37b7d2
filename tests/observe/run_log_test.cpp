#include "observe/run_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/log.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

TEST(RunLog, TellsStartsWarningsAndTheEnd) {
  const testing::TempFolder folder;
  const std::string logs = folder.file("logs");
  std::filesystem::create_directory(logs);
  {
    const Log log({.rank = 0, .file = logs + "/rank-0.log", .console = false});
    log.info("run       {}, 1 threads a rank", "runs/x");
    log.info("model     olmoe");
    log.warn("rank 1 is slow: 2 x");
    log.info("stopped by a signal after step {}; go on with --resume auto", 12);
    EXPECT_EQ(read_run_log(folder.path()).end, RunLog::End::kStopped);
    log.info("run       {}, 1 threads a rank", "runs/x");
    log.info("resumed from {} after step {}", "runs/x/checkpoints/step-00000012", 12);
  }
  const RunLog found = read_run_log(folder.path());
  EXPECT_EQ(found.starts, 2);
  EXPECT_EQ(found.resumed_after, (std::vector<std::int64_t>{12}));
  EXPECT_EQ(found.end, RunLog::End::kNone);
  ASSERT_EQ(found.lines.size(), 5U);
  EXPECT_EQ(found.lines[1].level, "warning");
  EXPECT_EQ(found.lines[1].text, "rank 1 is slow: 2 x");
  EXPECT_EQ(found.lines[1].time.size(), std::string("2026-01-31T12:00:00.123Z").size());
}

TEST(RunLog, KnowsWhenTheLauncherGivesUp) {
  const std::string begins = "2026 rank 0 info: run       x\n";
  const std::string gives_up = "2026 rank 0 warning: no restart: step 1 was not done\n";
  EXPECT_FALSE(parse_run_log(begins).given_up);
  EXPECT_TRUE(parse_run_log(begins + gives_up).given_up);
  EXPECT_FALSE(parse_run_log(begins + gives_up + begins).given_up);
}

TEST(RunLog, NamesTheRankThatFailed) {
  const testing::TempFolder folder;
  std::filesystem::create_directory(folder.file("logs"));
  std::ofstream(folder.file("logs/error.rank-1.json"))
      << R"({"rank":1,"host":"node7","time":1.5,"kind":"data","message":"bad line"})";
  std::ofstream(folder.file("logs/error.rank-2.json")) << "{torn";
  const RunLog found = read_run_log(folder.path());
  EXPECT_EQ(found.end, RunLog::End::kFailed);
  ASSERT_EQ(found.lines.size(), 1U);
  EXPECT_EQ(found.lines[0].text, "rank 1 on node7: bad line");
}

TEST(RunLog, IsBoundedAndTakesAnyBytes) {
  std::string text = "no time\n\n: \n rank 0\n2026 rank 0 info:x\n2026 rank \xff\xfe: y\n";
  EXPECT_TRUE(parse_run_log(text).lines.empty());
  for (int i = 0; i < 5000; ++i) text += "2026 rank 0 warning: number " + std::to_string(i) + "\n";
  text += "2026 rank 0 error: " + std::string(100'000, 'x');
  const RunLog found = parse_run_log(text);
  EXPECT_LE(found.lines.size(), 300U);
  EXPECT_EQ(found.lines.back().text.size(), 1000U);
  EXPECT_EQ(found.lines[found.lines.size() - 2].text, "number 4999");
  EXPECT_EQ(read_run_log("/nowhere").starts, 0);
}

}  // namespace
}  // namespace moesaic
