#include "comm/watchdog.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "comm/communicator.h"
#include "comm/single.h"
#include "core/error.h"
#include "core/host_name.h"

namespace moesaic {
namespace {

class WatchdogFiles : public testing::Test {
 protected:
  WatchdogFiles()
      : folder_(std::filesystem::temp_directory_path() /
                format("moesaic-watchdog-{}", ::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~WatchdogFiles() override { std::filesystem::remove_all(folder_); }

  Watchdog::Options options(int rank) const {
    return {.folder = folder_.string(), .rank = rank, .size = 3};
  }
  bool contains(const std::string& text, const std::string& part) const {
    return text.find(part) != std::string::npos;
  }

  std::filesystem::path folder_;
};

TEST_F(WatchdogFiles, ReportNamesTheRanksThatAreBehind) {
  Watchdog first(options(0));
  Watchdog second(options(1));
  Watchdog third(options(2));
  for (Watchdog* dog : {&first, &second, &third}) dog->enter("world", "start");
  first.enter("world", "sum of a, b");
  third.enter("expert", "dispatch");
  const auto [report, behind] = first.report();
  EXPECT_TRUE(contains(report, "behind: rank 1\n")) << report;
  EXPECT_EQ(behind, std::vector<int>{1});
  EXPECT_TRUE(contains(report, "rank 0: collective 2, 'sum of a, b' of world")) << report;
  EXPECT_TRUE(contains(report, "rank 1: collective 1, 'start' of world")) << report;
  EXPECT_TRUE(contains(report, "rank 2: collective 2, 'dispatch' of expert")) << report;
}

TEST_F(WatchdogFiles, ReportSaysWhenNobodyIsBehind) {
  Watchdog first(options(0));
  Watchdog second(options(1));
  Watchdog third(options(2));
  EXPECT_TRUE(contains(first.report().text, "no rank is behind"));
  EXPECT_TRUE(first.report().behind.empty());
}

TEST_F(WatchdogFiles, ARankWithoutAReadableFileIsBehind) {
  Watchdog first(options(0));
  Watchdog second(options(1));
  EXPECT_TRUE(contains(first.report().text, "behind: rank 2\n"));
  std::ofstream(folder_ / "rank-1.state") << "torn";
  EXPECT_TRUE(contains(first.report().text, "behind: rank 1, 2\n"));
}

TEST_F(WatchdogFiles, SeesWhetherAnotherRankMoves) {
  Watchdog first(options(0));
  Watchdog second(options(1));
  EXPECT_FALSE(first.others_moved());  // nothing to compare with yet
  EXPECT_FALSE(first.others_moved());
  first.enter("world", "mine");
  EXPECT_FALSE(first.others_moved()) << "its own steps do not count";
  second.enter("world", "theirs");
  EXPECT_TRUE(first.others_moved());
  EXPECT_FALSE(first.others_moved());
}

TEST_F(WatchdogFiles, ALabelOfAnyLengthKeepsTheRecordWhole) {
  Watchdog first(options(0));
  Watchdog second(options(1));
  second.enter("world", std::string(1000, 'x'));
  second.enter("world", "short");
  EXPECT_TRUE(contains(first.report().text, "rank 1: collective 2, 'short' of world,"));
  EXPECT_EQ(std::filesystem::file_size(folder_ / "rank-1.state"), 256U);
}

TEST_F(WatchdogFiles, TheFileSaysStepAndProcess) {
  Watchdog dog(options(1));
  const auto state = [&] { return read_rank_state(rank_state_file(folder_.string(), 1)).value(); };
  EXPECT_EQ(state().step, 0);
  EXPECT_EQ(state().pid, ::getpid());
  EXPECT_EQ(state().host, host_name());
  const std::uint64_t before = state().counter;
  dog.at_step(7);
  EXPECT_EQ(state().step, 7);
  EXPECT_GT(state().counter, before);
  dog.enter("world", "sum");
  EXPECT_EQ(state().step, 7);
  EXPECT_EQ(state().where, "'sum' of world");
}

TEST_F(WatchdogFiles, AJobOfOneRankTellsItsStepsAndCollectives) {
  const auto state = [&] { return read_rank_state(rank_state_file(folder_.string(), 0)).value(); };
  const Watchdog::Options alone = {.folder = folder_.string(), .rank = 0, .size = 1};
  const Communicator world(
      std::make_shared<SingleBackend>("world", std::make_shared<Watchdog>(alone)));
  world.at_step(7);
  EXPECT_EQ(state().step, 7);
  world.barrier("end");
  EXPECT_EQ(state().where, "'end' of world");
  EXPECT_EQ(state().sequence, 1U);
  world.split(0, "expert").barrier("dispatch");  // a part is not counted
  EXPECT_EQ(state().sequence, 1U);
  world.progress();
  world.barrier("after");
  EXPECT_EQ(state().counter, 4U);
}

TEST(Watchdog, KeepsNoFilesWithoutAFolder) {
  Watchdog dog({.folder = "", .rank = 0, .size = 2});
  dog.enter("world", "sum");
  dog.alive();
  EXPECT_FALSE(dog.others_moved());
  EXPECT_NE(dog.report().text.find("no state files"), std::string::npos);
}

TEST(Watchdog, AFolderThatIsNotThereIsAnError) {
  EXPECT_THROW(Watchdog({.folder = "/no/such/folder", .rank = 0, .size = 1}), Error);
}

}  // namespace
}  // namespace moesaic
