#include "cli/job_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "cli/hang.h"
#include "core/format.h"

namespace moesaic::cli {
namespace {

class StateFolder : public testing::Test {
 protected:
  StateFolder()
      : folder_(std::filesystem::temp_directory_path() / format("moesaic-job-{}", ::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~StateFolder() override { std::filesystem::remove_all(folder_); }

  void write(int rank, const RankState& state, const std::string& thread = "") const {
    RankStateFile(rank_state_file(folder_.string(), rank, thread)).write(state);
  }

  std::filesystem::path folder_;
};

TEST_F(StateFolder, WhatAnEarlierAttemptLeftDoesNotCount) {
  write(0, {.sequence = 50, .counter = 90, .time = 1, .step = 9});
  write(1, {.sequence = 50, .counter = 80, .time = 1, .step = 9});
  const StateFiles files(folder_.string(), 2);
  EXPECT_EQ(files.look().step(), 0);
  EXPECT_EQ(files.look().signs, 0U);
  write(1, {.sequence = 1, .counter = 2, .time = 3, .step = 1});
  const JobState job = files.look();
  EXPECT_FALSE(job.ranks[0]);
  EXPECT_EQ(job.step(), 1);
  EXPECT_GT(job.signs, 0U);
}

TEST_F(StateFolder, ThreadsGiveSignsOfLifeToo) {
  const StateFiles files(folder_.string(), 1);
  write(0, {.counter = 3, .step = 4});
  const std::uint64_t before = files.look().signs;
  write(0, {.counter = 1}, "saver");
  EXPECT_GT(files.look().signs, before);
  EXPECT_EQ(files.look().step(), 4);
}

TEST(StateFiles, OfAFolderThatIsNotThereAreNone) {
  const StateFiles files("/no/such/folder", 3);
  const JobState job = files.look();
  EXPECT_EQ(job.ranks.size(), 3U);
  EXPECT_EQ(job.signs, 0U);
  EXPECT_TRUE(job.behind().empty());
}

JobState at(const std::vector<std::uint64_t>& sequences) {
  JobState job;
  for (const std::uint64_t sequence : sequences)
    job.ranks.push_back(RankState{.sequence = sequence});
  return job;
}

TEST(JobState, NamesTheRanksThatHaveNotCome) {
  EXPECT_EQ(at({7, 7, 5}).behind(), std::vector<int>{2});
  EXPECT_TRUE(at({7, 7}).behind().empty());
  JobState job = at({7, 7});
  job.ranks[0].reset();
  EXPECT_EQ(job.behind(), std::vector<int>{0});
}

TEST(Suspect, IsAStoppedRankElseOneThatIsBehind) {
  EXPECT_EQ(suspect_of(at({7, 5, 7}), {2}), (Suspect{2, true}));
  EXPECT_EQ(suspect_of(at({7, 5, 7}), {}), (Suspect{1, false}));
  EXPECT_EQ(suspect_of(at({7, 7, 7}), {}), (Suspect{-1, false}));
  EXPECT_EQ(suspect_of(at({7}), {}), (Suspect{0, false}));
}

}  // namespace
}  // namespace moesaic::cli
