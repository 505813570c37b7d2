#include "monitor/run_rows.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/format.h"
#include "observe/metrics_reader.h"

namespace moesaic {
namespace {

MetricsRow row(const std::string& line) { return metrics_row(line).value(); }

TEST(RunRows, KeepsTheNewestValueOfEachName) {
  RunRows rows;
  rows.add(row(R"({"step":1,"loss":5.5,"valid_loss":6,"expert_load.0":[0.25,0.75]})"));
  rows.add(row(R"({"step":2,"loss":5.25,"expert_load.0":[0.5,0.5]})"));
  EXPECT_EQ(rows.step(), 2);
  EXPECT_EQ(rows.values().at("loss"), 5.25);
  EXPECT_EQ(rows.values().at("valid_loss"), 6);
  EXPECT_EQ(rows.vectors().at("expert_load.0"), (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(rows.counts().rows, 2);
}

TEST(RunRows, CountsSkippedStepsAndWhatIsNotFinite) {
  RunRows rows;
  rows.add(row(R"({"step":1,"loss":null,"skipped":2})"));
  EXPECT_TRUE(std::isnan(rows.values().at("loss")));
  rows.add(row(R"({"step":2,"loss":4,"skipped":1})"));
  rows.add(row(R"({"step":3,"loss":4})"));
  EXPECT_EQ(rows.counts().skipped_steps, 3);
  EXPECT_EQ(rows.counts().nonfinite_rows, 1);
  EXPECT_EQ(rows.values().count("skipped"), 0U);  // said of the row before
}

TEST(RunRows, CountsAStepThatIsTrainedAgainOnce) {
  RunRows rows;
  rows.add(row(R"({"step":1,"loss":5})"));
  rows.add(row(R"({"step":2,"loss":4,"valid_loss":4})"));
  rows.start_again();
  EXPECT_TRUE(rows.values().empty());
  rows.add(row(R"({"step":1,"loss":5})"));
  rows.add(row(R"({"step":2,"loss":4.5})"));
  rows.add(row(R"({"step":3,"loss":4})"));
  EXPECT_EQ(rows.counts().rows, 3);
  EXPECT_EQ(rows.values().count("valid_loss"), 0U);
}

TEST(RunRows, ForgetsWhatAnEarlierJobCounted) {
  RunRows rows;
  rows.add(row(R"({"step":8,"loss":5,"skipped":4})"));
  rows.forget_counts();
  rows.add(row(R"({"step":9,"loss":5,"skipped":1})"));
  EXPECT_EQ(rows.counts().rows, 1);
  EXPECT_EQ(rows.counts().skipped_steps, 1);
}

TEST(RunRows, KeepsABoundedNumberOfNames) {
  RunRows rows;
  for (std::size_t i = 0; i < 2 * RunRows::kMostNames; ++i)
    rows.add(row(format("{{\"step\":{},\"name{}\":1}}", i, i)));
  EXPECT_EQ(rows.values().size(), RunRows::kMostNames);
  rows.add(row(R"({"step":1,"name0":7})"));
  EXPECT_EQ(rows.values().at("name0"), 7);
}

}  // namespace
}  // namespace moesaic
