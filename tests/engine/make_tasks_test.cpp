#include "engine/make_tasks.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/fs.h"
#include "metrics/task_file.h"
#include "observe/temp_folder.h"
#include "support/tiny_parts.h"

namespace moesaic {
namespace {

using testing::TempFolder;

/// One micro-batch of the draws of a step that training does not come to.
class OneBatch : public EvalData {
 public:
  explicit OneBatch(std::int64_t step) : step_(step) {}
  std::int64_t count() const override { return 1; }
  Batch micro_batch(std::int64_t) const override {
    return test::SmallData(8).micro_batch(step_, 0);
  }
  std::int64_t target_tokens() const override { return 48; }
  std::int64_t sequences() const override { return 8; }

 private:
  std::int64_t step_;
};

/// Draws that begin at another step.
class Later : public StepData {
 public:
  explicit Later(std::int64_t by) : by_(by) {}
  StepSize size(std::int64_t step) const override { return data_.size(step + by_); }
  Batch micro_batch(std::int64_t step, std::int64_t index) const override {
    return data_.micro_batch(step + by_, index);
  }

 private:
  std::int64_t by_;
  test::SmallData data_ = test::SmallData(4);
};

/// Keeps what it is told.
class Watch : public TaskEnd {
 public:
  void task_ended(const RankContext&, const LearnedTask& task) override {
    names.push_back(task.name);
    first_targets.push_back(task.data.micro_batch(0, 0).targets_T);
  }
  std::vector<std::string> names;
  std::vector<at::Tensor> first_targets;
};

constexpr std::int64_t kFirst = 3, kSecond = 4, kSecondBegins = 100;

struct TwoTasks {
  RankContext context = RankContext::single();
  Watch watch;
  std::unique_ptr<TrainingRun> run;
  std::vector<at::Tensor> weights;

  TwoTasks(Recipe recipe, const std::string& resume) {
    recipe.continual.emplace();
    for (const auto& [name, steps] : {std::pair{"first", kFirst}, std::pair{"second", kSecond}})
      recipe.continual->tasks.push_back({.name = name,
                                         .train = {{.path = "/tokens.jsonl", .format = "tokens"}},
                                         .valid = {{.path = "/tokens.jsonl", .format = "tokens"}},
                                         .max_steps = steps});
    TrainingParts parts = test::small_parts(recipe, context);
    recipe.data.train.clear();  // each task has its own
    recipe.train.max_steps.reset();
    const TaskSteps steps({kFirst, kSecond});
    std::vector<std::unique_ptr<StepData>> data;
    data.push_back(std::make_unique<Later>(0));
    data.push_back(std::make_unique<Later>(kSecondBegins));
    auto chained = std::make_unique<TaskData>(std::move(data), steps);
    RunTasks tasks{steps,
                   chained.get(),
                   {std::make_shared<OneBatch>(50), std::make_shared<OneBatch>(150)},
                   {8, 8}};
    parts.train = std::move(chained);
    parts.max_steps = steps.total();
    parts.store.emplace(CheckpointStore::Options{recipe.run_dir + "/checkpoints", 20});
    parts.saver = make_sync_saver(context, *parts.store);
    parts.task_ends = {&watch};
    parts.schedule = make_schedule(recipe, parts.max_steps, tasks);
    add_tasks(recipe, context, std::move(tasks), parts);
    for (const Parameter& p : *parts.parameters) weights.push_back(p.tensor);  // live
    run = std::make_unique<TrainingRun>(recipe, context, TrainingRun::Options{resume, false},
                                        std::move(parts));
  }
  int go() {
    StopSignal stop;
    return run->run(stop);
  }
};

Recipe recipe_in(const TempFolder& folder) {
  Recipe recipe = test::small_recipe(folder.path());
  recipe.checkpoint.every_steps = 1;
  recipe.checkpoint.keep = 20;
  recipe.eval.every_steps = 0;
  make_folder(folder.path() + "/checkpoints");
  return recipe;
}

TEST(Tasks, ARunGoesOnFromAnyStepToTheSameBitsAndTheSameMatrix) {
  const TempFolder folder;
  TwoTasks whole(recipe_in(folder), "");
  EXPECT_EQ(whole.run->max_steps(), kFirst + kSecond);
  EXPECT_EQ(whole.go(), 0);
  EXPECT_EQ(whole.watch.names, (std::vector<std::string>{"first", "second"}));
  const TaskMatrix matrix = read_task_matrix(folder.path() + "/tasks.json");
  EXPECT_TRUE(matrix.is_complete());
  EXPECT_LT(matrix.rows[1][0], matrix.rows[0][0]);
  for (std::int64_t step = 1; step < kFirst + kSecond; ++step) {
    TwoTasks rest(recipe_in(folder), format("{}/checkpoints/step-{:08d}", folder.path(), step));
    EXPECT_EQ(rest.go(), 0);
    EXPECT_EQ(rest.watch.names.size(), step < kFirst ? 2U : 1U) << step;
    EXPECT_EQ(read_task_matrix(folder.path() + "/tasks.json").rows, matrix.rows) << step;
    for (std::size_t i = 0; i < whole.weights.size(); ++i)
      EXPECT_TRUE(at::equal(whole.weights[i], rest.weights[i])) << step << " " << i;
  }
}

TEST(Tasks, WhoIsToldOfATasksEndCanDrawItsDataFromTheBeginning) {
  const TempFolder folder;
  TwoTasks run(recipe_in(folder), "");
  run.go();
  ASSERT_EQ(run.watch.first_targets.size(), 2U);
  for (std::size_t task = 0; task < 2; ++task) {
    const Batch batch = test::SmallData(4).micro_batch(task == 0 ? 0 : kSecondBegins, 0);
    EXPECT_TRUE(at::equal(run.watch.first_targets[task], batch.targets_T)) << task;
  }
}

// The first task is as a run of its own.
TEST(Tasks, TheRowsAreThoseOfTheWeightsOfTheirMoment) {
  const TempFolder folder, alone_folder;
  TwoTasks tasks(recipe_in(folder), "");
  tasks.go();
  const TaskMatrix matrix = read_task_matrix(folder.path() + "/tasks.json");
  Recipe recipe = recipe_in(alone_folder);
  recipe.train.max_steps = kFirst;
  RankContext context = RankContext::single();
  TrainingParts parts = test::small_parts(recipe, context);
  parts.valid = std::make_unique<OneBatch>(150);
  parts.schedule = make_schedule(recipe, kFirst, std::nullopt);
  std::vector<MetricsRow> rows;
  TrainingRun alone(recipe, context, {}, std::move(parts));
  alone.add_sink(std::make_unique<test::Rows>(rows));
  StopSignal stop;
  EXPECT_EQ(alone.run(stop), 0);
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(*rows.back().find("valid_loss"), matrix.rows[1][1]);
}

}  // namespace
}  // namespace moesaic
