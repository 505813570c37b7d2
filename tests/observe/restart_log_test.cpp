#include "observe/restart_log.h"

#include <gtest/gtest.h>

#include "observe/run_folder_files.h"
#include "observe/run_view.h"

namespace moesaic {
namespace {

using testing::RunFolderFiles;

constexpr const char* kCrash =
    R"({"time":"2026-01-31T12:00:00.123Z","restart":1,"kind":"crash","step":37,"rank":1,"host":"n1",)"
    R"("where":"in step 37","exit_code":8,"message":"killed by signal 9","same_again":false,)"
    R"("checkpoint":"step-00000030","stacks":null})"
    "\n";

TEST(RestartLog, TellsWhoFailedAndWhatItWentOnFrom) {
  const RunFolderFiles run;
  EXPECT_TRUE(read_restarts(run.path()).restarts.empty());
  run.write("restarts.jsonl", std::string(kCrash) + R"({"step":40,"checkpoint":null})" + "\n");
  const RestartLog log = read_restarts(run.path());
  ASSERT_EQ(log.restarts.size(), 2U);
  EXPECT_TRUE(log.remarks.empty());
  EXPECT_EQ(log.restarts[0].kind, "crash");
  EXPECT_EQ(log.restarts[0].step, 37);
  EXPECT_EQ(log.restarts[0].rank, 1);
  EXPECT_EQ(log.restarts[0].message, "killed by signal 9");
  EXPECT_EQ(log.restarts[0].checkpoint, "step-00000030");
  EXPECT_EQ(log.restarts[1].rank, -1);
  EXPECT_EQ(log.restarts[1].checkpoint, "");
}

TEST(RestartLog, LeavesOutAndSaysWhatIsNoRestart) {
  const RunFolderFiles run;
  run.write("restarts.jsonl", std::string(R"({"restart":1})") + "\n" + kCrash + R"({"step":"4"})" +
                                  "\n[]\n" + R"({"step":41,"ra)");
  const RestartLog log = read_restarts(run.path());
  EXPECT_EQ(log.restarts.size(), 1U);
  ASSERT_EQ(log.remarks.size(), 1U);
  EXPECT_EQ(log.remarks[0].find("4 lines of "), 0U) << log.remarks[0];
}

TEST(RestartLog, OfVeryManyHasTheNewest) {
  const RunFolderFiles run;
  std::string text;
  for (int step = 1; step <= 60'000; ++step)
    text +=
        "{\"step\":" + std::to_string(step) + ",\"message\":\"" + std::string(60, 'm') + "\"}\n";
  run.write("restarts.jsonl", text);
  const RestartLog log = read_restarts(run.path());
  ASSERT_EQ(log.restarts.size(), 1000U);
  EXPECT_EQ(log.restarts.back().step, 60'000);
  ASSERT_EQ(log.remarks.size(), 1U);
  EXPECT_NE(log.remarks[0].find("only the last 1000"), std::string::npos);
}

TEST(RestartLog, IsPartOfTheViewOfARun) {
  const RunFolderFiles run;
  run.write_metrics(3);
  run.write("restarts.jsonl", std::string(kCrash) + "{\n");
  RunView view(run.path());
  EXPECT_EQ(view.restarts().size(), 1U);
  EXPECT_EQ(view.remarks().size(), 1U);
  run.write("restarts.jsonl", std::string(kCrash) + kCrash);
  view.update();
  EXPECT_EQ(view.restarts().size(), 2U);
  EXPECT_TRUE(view.remarks().empty());
}

// What fails under a supervisor has not ended before that gives up.
TEST(RunView, WaitsForTheRestartOfARunThatLooksAfterItself) {
  const RunFolderFiles run;
  run.write_metrics(3);
  run.write("logs/rank-0.log", "2026 rank 0 info: run       x\n");
  run.write("logs/error.rank-1.json", R"({"rank":1,"message":"lost"})");
  RunView view(run.path());
  EXPECT_EQ(view.state(), "failed");
  EXPECT_TRUE(view.has_ended());
  view.is_supervised = true;
  EXPECT_EQ(view.state(), "failed, a restart is due");
  EXPECT_FALSE(view.has_ended());
  run.write("logs/rank-0.log",
            "2026 rank 0 info: run       x\n2026 rank 0 warning: no restart: used up\n");
  view.update();
  EXPECT_EQ(view.state(), "failed");
  EXPECT_TRUE(view.has_ended());
}

}  // namespace
}  // namespace moesaic
