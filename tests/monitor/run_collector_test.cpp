#include "monitor/run_collector.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "core/clock.h"
#include "core/fs.h"
#include "core/rank_state.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

class RunCollectorTest : public ::testing::Test {
 protected:
  RunFacts facts(bool resumed = false) const {
    return {.job = "run",
            .run_dir = folder.path(),
            .host = "here",
            .version = "1",
            .ranks = 2,
            .resumed = resumed,
            .numbers = {{"moesaic_max_steps", "Last step or round of the run.", 20},
                        {"moesaic_epsilon_budget", "Most privacy that may be spent.", 8}}};
  }
  static std::string text_of(const RunCollector& run) {
    return prometheus::TextSerializer().Serialize(run.Collect());
  }
  static bool says(const RunCollector& run, const std::string& name, const std::string& value) {
    return text_of(run).find("\n" + name + "{job=\"run\"} " + value + "\n") != std::string::npos;
  }
  void state_of_rank(int rank, const RankState& state) const {
    make_folder(folder.path() + "/logs");
    RankStateFile(rank_state_file(folder.path() + "/logs", rank)).write(state);
  }

  testing::TemporaryFolder folder;
};

TEST_F(RunCollectorTest, LeavesOutTheRowsOfARunThatThisOneTakesThePlaceOf) {
  folder.file("metrics.jsonl", "{\"step\":9,\"loss\":1}\n");
  const RunCollector run(facts());
  EXPECT_EQ(text_of(run).find("\nmoesaic_loss{"), std::string::npos);
  EXPECT_FALSE(run.has_begun());
  folder.file("metrics.jsonl", "{\"step\":1,\"loss\":6}\n{\"step\":2,\"lo");
  EXPECT_TRUE(run.has_begun());
  EXPECT_TRUE(says(run, "moesaic_loss", "6"));
  EXPECT_TRUE(says(run, "moesaic_rows_total", "1"));
}

TEST_F(RunCollectorTest, CountsLinesThatAreNoRowAndGoesBackWithARewind) {
  const RunCollector run(facts());
  folder.file("metrics.jsonl", "?\n{\"step\":1,\"loss\":6}\n{\"step\":2,\"loss\":5}\n");
  EXPECT_TRUE(says(run, "moesaic_unreadable_rows", "1"));
  EXPECT_TRUE(says(run, "moesaic_step", "2"));
  folder.file("metrics.jsonl", "{\"step\":1,\"loss\":6}\n");
  EXPECT_TRUE(says(run, "moesaic_step", "1"));
  EXPECT_TRUE(says(run, "moesaic_rows_total", "2"));
}

TEST_F(RunCollectorTest, GoesOnFromTheRowsOfARunThatIsResumed) {
  folder.file("metrics.jsonl", "{\"step\":9,\"loss\":1,\"skipped\":5}\n");
  const RunCollector run(facts(/*resumed=*/true));
  EXPECT_TRUE(says(run, "moesaic_step", "9"));
  EXPECT_TRUE(says(run, "moesaic_skipped_steps_total", "0"));
  folder.file("metrics.jsonl",
              "{\"step\":9,\"loss\":1,\"skipped\":5}\n{\"step\":10,\"skipped\":1}\n");
  EXPECT_TRUE(says(run, "moesaic_skipped_steps_total", "1"));
}

TEST_F(RunCollectorTest, SaysWhereTheRanksAre) {
  const RunCollector run(facts());
  state_of_rank(0, {.sequence = 12, .time = unix_time() + 1, .step = 3, .pid = 1, .host = "here"});
  state_of_rank(1, {.sequence = 11, .time = unix_time() - 900, .step = 2, .pid = 1, .host = "x"});
  const std::string text = text_of(run);
  for (const char* line : {"moesaic_rank_step{job=\"run\",instance=\"rank-0\"} 3\n",
                           "moesaic_rank_collectives_total{job=\"run\",instance=\"rank-0\"} 12\n",
                           "moesaic_rank_runs{job=\"run\",instance=\"rank-0\"} 0\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  EXPECT_EQ(text.find("rank-1"), std::string::npos) << "of an earlier job";
}

TEST_F(RunCollectorTest, SaysWhatTheRunFolderHolds) {
  folder.file("checkpoints/step-00000010/model.h5", std::string(1000, 'x'));
  folder.file("checkpoints/step-00000010/manifest.json", std::string(24, 'x'));
  std::filesystem::create_symlink("step-00000010", folder.path() + "/checkpoints/latest");
  const RunCollector run(facts());
  EXPECT_TRUE(says(run, "moesaic_checkpoint_step", "10"));
  EXPECT_TRUE(says(run, "moesaic_checkpoint_bytes", "1024"));
  folder.file("restarts.jsonl", "{\"step\":1}\n{\"step\":2}\n");
  EXPECT_TRUE(says(run, "moesaic_restarts_total", "2"));
}

TEST_F(RunCollectorTest, SaysHowTheJobEnded) {
  RunCollector run(facts());
  EXPECT_TRUE(says(run, "moesaic_running", "1"));
  run.finished(6);
  EXPECT_TRUE(says(run, "moesaic_running", "0"));
  EXPECT_TRUE(says(run, "moesaic_exit_code", "6"));
}

TEST_F(RunCollectorTest, NeedsNoRunFolder) {
  RunFacts nowhere = facts();
  nowhere.run_dir = folder.path() + "/not/there";
  EXPECT_TRUE(says(RunCollector(nowhere), "moesaic_ranks", "2"));
}

}  // namespace
}  // namespace moesaic
