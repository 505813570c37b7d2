#include "observe/work_meter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "observe/metrics_reader.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

class WorkMeterTest : public ::testing::Test {
 protected:
  std::vector<MetricsRow> rows() const {
    std::vector<MetricsRow> rows;
    MetricsReader(path).read([] {}, [&](const MetricsRow& row) { rows.push_back(row); });
    return rows;
  }

  testing::TemporaryFolder folder;
  std::string path = folder.path() + "/metrics.jsonl";
};

TEST_F(WorkMeterTest, SaysWhatWasDoneAndInTheEndTheMeansOfTheJob) {
  {
    WorkMeter meter({.path = path, .every_s = 0});
    for (const std::int64_t requests : {3, 1}) {
      meter.begin();
      meter.add_tokens(10 * requests);
      meter.add_items(requests, 0.5 * static_cast<double>(requests));
    }
  }
  const auto all = rows();
  ASSERT_EQ(all.size(), 5U);  // of each call, and the last one
  EXPECT_EQ(*all[0].find("tokens"), 30);
  EXPECT_EQ(all[0].find("latency_s"), nullptr);  // nothing is done yet
  EXPECT_EQ(*all[1].find("items"), 3);
  EXPECT_EQ(*all[1].find("latency_s"), 1.5);
  EXPECT_EQ(all[4].step, 5);
  EXPECT_EQ(*all[4].find("items"), 4);
  EXPECT_EQ(*all[4].find("latency_s"), 1.25);
  EXPECT_EQ(*all[4].find("tokens"), 40);
  EXPECT_NEAR(*all[4].find("tokens_per_s") / *all[4].find("items_per_s"), 10, 1e-9);
  EXPECT_GT(*all[4].find("memory_peak_mb"), 0);
}

TEST_F(WorkMeterTest, WritesNoRowBeforeItsTimeAndNoneOfNoWork) {
  {
    WorkMeter meter({.path = path, .every_s = 1000});
    meter.begin();
    meter.add_tokens(7);
    EXPECT_TRUE(rows().empty());
    meter.end();
    meter.end();
    EXPECT_EQ(rows().size(), 1U);
  }
  EXPECT_EQ(rows().size(), 2U);
  { const WorkMeter idle({.path = path}); }
  EXPECT_TRUE(rows().empty());
}

TEST_F(WorkMeterTest, ARateIsNotThatOfAMoment) {
  WorkMeter meter({.path = path, .every_s = 0.05});
  meter.begin();
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  meter.add_tokens(10);  // a row
  meter.add_items(10, 0.06);
  meter.end();
  const auto all = rows();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(*all[1].find("tokens"), 10);
  EXPECT_GT(*all[1].find("tokens_per_s"), 0);
  EXPECT_LE(*all[1].find("items_per_s"), 10 / 0.06);
  EXPECT_NEAR(*all[1].find("latency_s"), 0.06, 1e-12);
}

TEST_F(WorkMeterTest, GoesOnWithoutAFile) {
  ::testing::internal::CaptureStderr();
  {
    WorkMeter meter({.path = folder.path() + "/none/metrics.jsonl", .every_s = 0});
    meter.begin();
    meter.add_items(1, 1);
  }
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("none/metrics.jsonl"), std::string::npos) << said;
  EXPECT_EQ(said.find("warning"), said.rfind("warning")) << said;
}

}  // namespace
}  // namespace moesaic
