#include "metrics/continual.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/fs.h"
#include "metrics/task_file.h"

namespace moesaic {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Accuracies; task b was best after task c's predecessor, a is forgotten by half.
TaskMatrix accuracies() {
  return {.tasks = {"a", "b", "c"},
          .metric = "accuracy",
          .rows = {{0.10, 0.20, 0.30}, {0.90, 0.25, 0.20}, {0.95, 0.80, 0.50}, {0.45, 0.70, 0.60}}};
}

/// The same numbers as losses: what was better is worse.
TaskMatrix losses() {
  TaskMatrix matrix = accuracies();
  matrix.metric = "loss";
  return matrix;
}

// By hand: a 0.45 - 0.90, b 0.70 - 0.80.
TEST(TaskMetrics, BackwardTransferIsTheMeanChangeSinceATaskWasLearned) {
  EXPECT_NEAR(task_metrics(accuracies()).backward_transfer, (-0.45 - 0.10) / 2, 1e-15);
  EXPECT_NEAR(task_metrics(losses()).backward_transfer, (0.45 + 0.10) / 2, 1e-15);
}

// By hand: a 0.95 (after b) - 0.45, b 0.80 - 0.70. Of losses the best is the least: a 0.90 (after
// a) to 0.45, b 0.80 to 0.70: nothing is forgotten.
TEST(TaskMetrics, ForgettingIsFromTheBestSinceATaskWasLearned) {
  EXPECT_NEAR(task_metrics(accuracies()).forgetting, (0.50 + 0.10) / 2, 1e-15);
  EXPECT_NEAR(task_metrics(losses()).forgetting, (0.45 - 0.90 + 0.70 - 0.80) / 2, 1e-15);
}

// By hand: b 0.25 - 0.20 before it was learned, c 0.50 - 0.30.
TEST(TaskMetrics, ForwardTransferIsFromTheModelBeforeTheFirstTask) {
  EXPECT_NEAR(task_metrics(accuracies()).forward_transfer, (0.05 + 0.20) / 2, 1e-15);
  EXPECT_NEAR(task_metrics(losses()).forward_transfer, -(0.05 + 0.20) / 2, 1e-15);
}

TEST(TaskMetrics, TheAverageIsAsItIs) {
  EXPECT_NEAR(task_metrics(accuracies()).average, 1.75 / 3, 1e-15);
  EXPECT_NEAR(task_metrics(losses()).average, 1.75 / 3, 1e-15);
}

// By hand: joint less what each was just learned to, 0.90, 0.80, 0.60.
TEST(TaskMetrics, IntransigenceComparesWithLearningTogether) {
  const std::vector<double> joint = {0.92, 0.86, 0.66};
  EXPECT_FALSE(task_metrics(accuracies()).intransigence.has_value());
  EXPECT_NEAR(task_metrics(accuracies(), joint).intransigence.value(), 0.14 / 3, 1e-15);
  EXPECT_NEAR(task_metrics(losses(), joint).intransigence.value(), -0.14 / 3, 1e-15);
}

// Avalanche 0.6 calls forgetting what is 0 - backward transfer here: it compares with the moment
// when a task was learned, not with the best since. Where nothing improves later they are the same.
TEST(TaskMetrics, ForgettingIsAvalanchesWhereNothingImprovesLater) {
  TaskMatrix matrix = accuracies();
  matrix.rows[2][0] = 0.85;
  const TaskMetrics metrics = task_metrics(matrix);
  EXPECT_NEAR(metrics.forgetting, -metrics.backward_transfer, 1e-15);
}

TEST(TaskMetrics, OfOneTaskNothingIsForgotten) {
  const TaskMetrics metrics = task_metrics({{"only"}, "loss", {{5.0}, {2.0}}});
  EXPECT_EQ(metrics.average, 2.0);
  EXPECT_EQ(metrics.backward_transfer, 0);
  EXPECT_EQ(metrics.forgetting, 0);
  EXPECT_EQ(metrics.forward_transfer, 0);
}

TEST(TaskMetrics, WhatIsNoNumberIsNotHidden) {
  TaskMatrix matrix = accuracies();
  matrix.rows[2][0] = kNan;
  EXPECT_TRUE(std::isnan(task_metrics(matrix).forgetting));
  EXPECT_FALSE(std::isnan(task_metrics(matrix).backward_transfer));
}

class TaskFile : public testing::Test {
 protected:
  void SetUp() override { make_folder(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& text) const {
    const std::string path = folder_ + "/file.json";
    write_file_atomic(path, text);
    return path;
  }
  std::string folder_ =
      (std::filesystem::temp_directory_path() / format("moesaic-tasks-{}", ::getpid())).string();
};

TEST_F(TaskFile, ReadsBackBitForBit) {
  TaskMatrix matrix = losses();
  matrix.rows[1][1] = 1.0 / 3;
  matrix.rows[3][2] = kNan;
  const TaskMatrix read = read_task_matrix(write(to_json(matrix).dump()));
  EXPECT_EQ(read.tasks, matrix.tasks);
  EXPECT_EQ(read.metric, "loss");
  EXPECT_EQ(read.rows[1], matrix.rows[1]);
  EXPECT_TRUE(std::isnan(read.rows[3][2]));
}

TEST_F(TaskFile, HasTheDerivedNumbersOnceTheLastTaskIsDone) {
  TaskMatrix matrix = accuracies();
  const Json whole = to_json(matrix);
  std::vector<std::string> keys;
  for (const auto& [key, value] : whole.items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"tasks", "metric", "matrix", "baseline", "average",
                                            "backward_transfer", "forgetting", "forward_transfer",
                                            "intransigence"}));
  EXPECT_EQ(whole["baseline"], whole["matrix"][0]);
  EXPECT_TRUE(whole["intransigence"].is_null());
  matrix.rows.pop_back();
  const Json partial = to_json(matrix);
  EXPECT_EQ(partial["matrix"].size(), 3U);
  EXPECT_TRUE(partial["average"].is_null());
}

TEST_F(TaskFile, RefusesWhatIsNone) {
  for (const char* text : {"[]", "{}", R"({"tasks": [], "metric": "loss", "matrix": []})",
                           R"({"tasks": ["a"], "metric": "loss", "matrix": [[1, 2]]})",
                           R"({"tasks": ["a"], "metric": "loss", "matrix": [["x"]]})",
                           R"({"tasks": ["a"], "metric": "speed", "matrix": [[1]]})",
                           R"({"tasks": ["a"], "metric": "loss", "matrix": [[1], [1], [1]]})"}) {
    EXPECT_THROW(read_task_matrix(write(text)), Error) << text;
  }
}

TEST_F(TaskFile, TakesWhatLearningTogetherReachesInThreeForms) {
  const TaskMatrix matrix = accuracies();
  const std::vector<double> expected = {0.92, 0.86, 0.66};
  EXPECT_EQ(read_joint(write("[0.92, 0.86, 0.66]"), matrix), expected);
  EXPECT_EQ(read_joint(write(R"({"joint": [0.92, 0.86, 0.66]})"), matrix), expected);
  const TaskMatrix other{.tasks = {"c", "a", "b"},
                         .metric = "accuracy",
                         .rows = {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0.66, 0.92, 0.86}}};
  EXPECT_EQ(read_joint(write(to_json(other).dump()), matrix), expected);
  EXPECT_THROW(read_joint(write("[0.92, 0.86]"), matrix), Error);
  EXPECT_THROW(read_joint(write(to_json(losses()).dump()), matrix), Error);
}

TEST_F(TaskFile, ShowsRowsUnderTheNames) {
  const TaskMatrix matrix = accuracies();
  EXPECT_EQ(heading_text(matrix), "accuracy        a        b        c");
  EXPECT_EQ(row_text(matrix, 0), "before     0.1000   0.2000   0.3000");
  EXPECT_EQ(row_text(matrix, 3), "after c    0.4500   0.7000   0.6000");
}

}  // namespace
}  // namespace moesaic
