#include "observe/watch_frame.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/format.h"
#include "observe/run_folder_files.h"

namespace moesaic {
namespace {

std::size_t columns_of(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

class WatchFrame : public ::testing::Test {
 protected:
  std::vector<std::string> frame(const WatchOptions& options,
                                 std::optional<double> quiet_s = std::nullopt) {
    RunView view(run.path());
    view.last_step = last_step;
    return watch_frame(view, quiet_s, options);
  }
  std::string text(const WatchOptions& options = {}, std::optional<double> quiet_s = {}) {
    return format("{}", join(frame(options, quiet_s), "\n"));
  }

  testing::RunFolderFiles run;
  std::optional<std::int64_t> last_step = 40;
};

TEST_F(WatchFrame, ShowsTheWayTheRestAndTheCurves) {
  run.write_metrics(10);
  const auto lines = frame({.columns = 80, .rows = 12});
  // 100 tokens a step at 50 a second, 30 steps.
  EXPECT_NE(lines[0].find("runs, or was killed, step 10/40 (25 %), left 1:00"), std::string::npos)
      << lines[0];
  EXPECT_NE(lines[1].find("tokens/s 50"), std::string::npos);
  const std::string all = text({.columns = 60, .rows = 12});
  EXPECT_NE(all.find("loss              "), std::string::npos);
  EXPECT_NE(all.find("1.1\n"), std::string::npos);
  EXPECT_NE(all.find("load, layer 0     ▄█▄ "), std::string::npos) << all;
  EXPECT_NE(all.find("load, layer 1     █   "), std::string::npos);
}

TEST_F(WatchFrame, CountsRestarts) {
  run.write_metrics(3);
  EXPECT_EQ(text().find("restarts"), std::string::npos);
  run.write("restarts.jsonl", "{\"step\":2}\n{\"step\":3}\n");
  EXPECT_NE(text().find("  restarts 2"), std::string::npos) << text();
}

TEST_F(WatchFrame, FitsEveryTerminal) {
  run.write_metrics(100);
  run.write("logs/rank-0.log", "2026 rank 0 warning: " + std::string(500, 'w') + "\n");
  for (const std::size_t columns : {1U, 10U, 30U, 31U, 80U, 500U}) {
    for (const std::size_t rows : {0U, 1U, 2U, 5U, 24U, 100U}) {
      const auto lines = frame({.columns = columns, .rows = rows, .footer = "q ends"});
      EXPECT_LE(lines.size(), rows);
      for (const std::string& line : lines) EXPECT_LE(columns_of(line), columns) << line;
    }
  }
}

TEST_F(WatchFrame, HasColorsOnlyWhenTold) {
  run.write_metrics(10);
  EXPECT_EQ(text({.color = false}).find('\x1b'), std::string::npos);
  EXPECT_NE(text({.color = true}).find("\x1b["), std::string::npos);
}

TEST_F(WatchFrame, LetsNoControlCharacterThrough) {
  run.write_metrics(1);
  run.write("logs/rank-0.log", "2026 rank 0 error: \x1b[2J\x07 bad\n");
  const std::string all = text();
  EXPECT_EQ(all.find('\x1b'), std::string::npos);
  EXPECT_NE(all.find("error: ?[2J? bad"), std::string::npos);
}

TEST_F(WatchFrame, SaysWhatIsKnownOfTheEnd) {
  run.write("recipe.yaml", "name: x\n");
  EXPECT_NE(text().find("no row of metrics yet"), std::string::npos);
  run.write_metrics(40);
  EXPECT_NE(text().find("finished, step 40/40 (100 %)"), std::string::npos);
  EXPECT_EQ(text({}, 1000.0).find("no row for"), std::string::npos);
  run.write_metrics(20);
  EXPECT_NE(text({}, 75.0).find("no row for 1:15"), std::string::npos);
  EXPECT_EQ(text({}, 5.0).find("no row for"), std::string::npos);
  run.write("logs/error.rank-0.json", R"({"rank":0,"message":"disk full"})");
  EXPECT_NE(text().find("failed, step 20/40"), std::string::npos);
  EXPECT_NE(text().find("error: rank 0: disk full"), std::string::npos);
}

TEST_F(WatchFrame, ShowsTheMatrixOfTasks) {
  run.write_metrics(3);
  run.write("tasks.json", R"({"tasks":["law","tax"],"metric":"loss","matrix":[[2,3],[1,3]]})");
  const std::string all = text();
  EXPECT_NE(all.find("after law"), std::string::npos);
  EXPECT_NE(all.find("1.0000"), std::string::npos);
}

}  // namespace
}  // namespace moesaic
