#include "observe/console_sink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "core/fs.h"
#include "temp_folder.h"

namespace moesaic {
namespace {

MetricsRow row(std::int64_t step) {
  MetricsRow row;
  row.step = step;
  row.set("loss", 2.5);
  row.set("learning_rate", 3e-4);
  row.set("tokens_per_s", 12345.6);
  row.set("step_s", 0.5);
  return row;
}

class ConsoleSinkTest : public ::testing::Test {
 protected:
  ConsoleSink::Options options(bool terminal) const {
    ConsoleSink::Options options;
    options.max_steps = 100;
    options.terminal = terminal;
    options.out = file.get();
    return options;
  }
  std::string written() const {
    std::rewind(file.get());
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    return text;
  }

  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::tmpfile(), &std::fclose};
};

TEST(ToConsoleLine, HasFixedColumns) {
  EXPECT_EQ(to_console_line(row(1), 100, "0:50"),
            "step   1/100  loss 2.5000   lr 3.00e-04  tokens/s   12346  left    0:50");
  EXPECT_EQ(to_console_line(row(1), 100, "0:50").size(),
            to_console_line(row(100), 100, "1:00:00").size());
}

TEST(ToConsoleLine, LeavesOutWhatARowDoesNotHave) {
  MetricsRow bare;
  bare.step = 3;
  EXPECT_EQ(to_console_line(bare, 0, ""), "step        3");
}

TEST_F(ConsoleSinkTest, PlainOutputIsOneLineARowWithoutControlCharacters) {
  ConsoleSink sink(options(false));
  sink.write(row(1));
  sink.write(row(2));
  const std::string text = written();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST_F(ConsoleSinkTest, TheFirstRowTakesThePaceFromItsOwnStep) {
  ConsoleSink sink(options(false));
  sink.write(row(40));
  EXPECT_NE(written().find("left    0:30"), std::string::npos);
}

TEST_F(ConsoleSinkTest, TheLiveLineIsDrawnOverCutToTheWidthAndEndedOnce) {
  ConsoleSink::Options live = options(true);
  live.columns = 20;
  { ConsoleSink(live).write(row(1)); }
  EXPECT_EQ(written(), "\r\x1b[Kstep   1/100  loss \n");
}

TEST_F(ConsoleSinkTest, RowsWithAValidationLossStay) {
  MetricsRow evaluated = row(50);
  evaluated.set("valid_loss", 2.75);
  { ConsoleSink(options(true)).write(evaluated); }
  const std::string text = written();
  EXPECT_NE(text.find("valid 2.7500\n"), std::string::npos);
  EXPECT_EQ(text.find("\x1b[32m"), std::string::npos);  // no colour unless asked for
}

TEST(ConsoleSink, IsGivenUpWithOneWarningWhenItCannotBeWritten) {
  for (const bool terminal : {false, true}) {
    const testing::TempFolder folder;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> full{std::fopen("/dev/full", "w"),
                                                               &std::fclose};
    ConsoleSink::Options options;
    options.terminal = terminal;
    options.out = full.get();
    options.log = Log({.file = folder.file("log"), .console = false});
    {
      ConsoleSink sink(options);
      for (const std::int64_t step : {1, 2, 3}) sink.write(row(step));
    }
    EXPECT_EQ(std::ferror(full.get()), 0) << "the end of the program would tell it again";
    EXPECT_EQ(std::fflush(full.get()), 0);
    const std::string log = read_file(folder.file("log"));
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
    EXPECT_NE(log.find("warning: standard output cannot be written (No space left on device)"),
              std::string::npos)
        << log;
  }
}

TEST_F(ConsoleSinkTest, ColourIsAnOption) {
  ConsoleSink::Options colored = options(true);
  colored.color = true;
  MetricsRow evaluated = row(50);
  evaluated.set("valid_loss", 2.75);
  { ConsoleSink(colored).write(evaluated); }
  EXPECT_NE(written().find("\x1b[32mstep"), std::string::npos);
}

}  // namespace
}  // namespace moesaic
