#include "core/rank_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace moesaic {
namespace {

class RankStates : public testing::Test {
 protected:
  RankStates()
      : folder_(std::filesystem::temp_directory_path() / format("moesaic-states-{}", ::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~RankStates() override { std::filesystem::remove_all(folder_); }

  std::string file(int rank, const std::string& thread = "") const {
    return rank_state_file(folder_.string(), rank, thread);
  }

  std::filesystem::path folder_;
};

TEST_F(RankStates, AreReadAsTheyWereWritten) {
  const RankState state{.sequence = 18446744073709551615U,
                        .counter = 12,
                        .time = 1700000000.125,
                        .step = 41,
                        .pid = 4194304,
                        .host = "node-7.example",
                        .where = "'sum of a, b' of expert_data"};
  const RankStateFile written(file(3));
  written.write({});
  written.write(state);
  EXPECT_EQ(read_rank_state(file(3)), state);
}

TEST_F(RankStates, KeepOneSizeWithNamesOfAnyLength) {
  const RankStateFile written(file(0));
  written.write({.step = 5, .host = std::string(300, 'h'), .where = std::string(1000, 'x')});
  EXPECT_EQ(std::filesystem::file_size(file(0)), 256U);
  ASSERT_TRUE(read_rank_state(file(0)));
  EXPECT_EQ(read_rank_state(file(0))->step, 5);
  written.write({.step = 6, .host = "a", .where = "short"});
  EXPECT_EQ(read_rank_state(file(0))->where, "short");
}

TEST_F(RankStates, AreNothingWhereNoFileOrAnotherOneIs) {
  EXPECT_FALSE(read_rank_state(file(0)));
  for (const char* text : {"", "torn", "1 2 3.5 4", "\x01\x02\x03"}) {
    std::ofstream(file(0), std::ios::trunc) << text;
    EXPECT_FALSE(read_rank_state(file(0))) << text;
  }
}

TEST_F(RankStates, OfAThreadHaveAFileOfTheirOwn) {
  EXPECT_EQ(rank_state_file("logs", 2), "logs/rank-2.state");
  EXPECT_EQ(rank_state_file("logs", 2, "saver"), "logs/rank-2.saver.state");
}

TEST(RankState, ThoseBehindHaveEnteredLessOrAreNotKnown) {
  const auto at = [](std::uint64_t sequence) {
    return std::optional(RankState{.sequence = sequence});
  };
  EXPECT_EQ(ranks_behind({at(7), at(6), std::nullopt, at(8)}, 7), (std::vector<int>{1, 2}));
  EXPECT_TRUE(ranks_behind({at(7), at(7)}, 7).empty());
}

TEST(RankState, AFileThatCannotBeMadeIsAnError) {
  EXPECT_THROW(RankStateFile("/no/such/folder/rank-0.state"), Error);
  EXPECT_NO_THROW(RankStateFile().write({}));
}

}  // namespace
}  // namespace moesaic
