#include "observe/jsonl_sink.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "core/fs.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

MetricsRow row(std::int64_t step, double loss) {
  MetricsRow row;
  row.step = step;
  row.set("loss", loss);
  return row;
}

class JsonlSinkTest : public ::testing::Test {
 protected:
  void put(const std::string& content) { std::ofstream(path) << content; }
  std::string content() const { return read_file(path); }
  void resume(std::int64_t step) { JsonlSink({path, step}); }

  testing::TempFolder folder;
  std::string path = folder.file("metrics.jsonl");
};

TEST(ToJsonLine, WritesTheShortestTextThatReadsBackTheSame) {
  MetricsRow all = row(7, 0.1);
  all.set("tokens", 4096.0);
  all.set("tiny", 5e-324);
  all.set("third", 1.0 / 3.0);
  all.vectors.emplace_back("load", std::vector<double>{1.5, 2.0});
  EXPECT_EQ(to_json_line(all),
            "{\"step\":7,\"loss\":0.1,\"tokens\":4096,\"tiny\":5e-324,"
            "\"third\":0.3333333333333333,\"load\":[1.5,2]}\n");
  EXPECT_EQ(Json::parse(to_json_line(all))["third"].get<double>(), 1.0 / 3.0);
}

TEST(ToJsonLine, WritesWhatIsNotFiniteAsNull) {
  MetricsRow bad = row(1, std::numeric_limits<double>::quiet_NaN());
  bad.set("grad_norm", std::numeric_limits<double>::infinity());
  EXPECT_EQ(to_json_line(bad), "{\"step\":1,\"loss\":null,\"grad_norm\":null}\n");
}

TEST(ToJsonLine, EscapesNames) {
  MetricsRow quoted;
  quoted.set("a\"b", 1);
  EXPECT_EQ(to_json_line(quoted), "{\"step\":0,\"a\\\"b\":1}\n");
}

TEST_F(JsonlSinkTest, CutsOffTheRowsAfterAStepThatItGoesBackTo) {
  JsonlSink sink({path});
  for (std::int64_t step = 1; step <= 3; ++step) sink.write(row(step, 2));
  sink.rewind(1);
  sink.write(row(2, 1));
  EXPECT_EQ(content(), "{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":1}\n");
}

TEST_F(JsonlSinkTest, EveryRowIsReadableAtOnce) {
  JsonlSink sink({path});
  sink.write(row(1, 2.5));
  EXPECT_EQ(content(), "{\"step\":1,\"loss\":2.5}\n");
  sink.write(row(2, 2.25));
  EXPECT_EQ(content(), "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":2.25}\n");
}

TEST_F(JsonlSinkTest, AFreshRunEmptiesTheFile) {
  put("{\"step\":1}\n");
  resume(0);
  EXPECT_EQ(content(), "");
}

TEST_F(JsonlSinkTest, ResumingCutsRowsAfterTheStepAndGoesOn) {
  put("{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
  JsonlSink sink({path, 2});
  sink.write(row(3, 1));
  EXPECT_EQ(content(), "{\"step\":1}\n{\"step\":2}\n{\"step\":3,\"loss\":1}\n");
}

TEST_F(JsonlSinkTest, ResumingMendsATornLastLine) {
  put("{\"step\":1}\n{\"step\":2}\n{\"step\":3,\"lo");
  resume(5);
  EXPECT_EQ(content(), "{\"step\":1}\n{\"step\":2}\n");
}

TEST_F(JsonlSinkTest, ARowThatOnlyLacksItsNewlineIsKept) {
  put("{\"step\":1}\n{\"step\":2}");
  resume(2);
  EXPECT_EQ(content(), "{\"step\":1}\n{\"step\":2}\n");
}

TEST_F(JsonlSinkTest, ResumingWithoutAFileMakesOne) {
  resume(5);
  EXPECT_EQ(content(), "");
}

TEST_F(JsonlSinkTest, DamageBeforeAKeptRowIsAnErrorThatLosesNothing) {
  const std::string damaged = "{\"step\":1}\n{\"ste\xFFp\n{\"step\":3}\n";
  put(damaged);
  try {
    resume(3);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
    EXPECT_NE(std::string(error.what()).find("metrics.jsonl:2:"), std::string::npos);
  }
  EXPECT_EQ(content(), damaged);
}

TEST_F(JsonlSinkTest, AFullDiskIsACheckpointError) {
  std::filesystem::create_symlink("/dev/full",
                                  path);  // never the device itself: root could lose it
  JsonlSink sink({path});
  try {
    sink.write(row(1, 1));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
    EXPECT_FALSE(error.hint().empty());
  }
}

}  // namespace
}  // namespace moesaic
