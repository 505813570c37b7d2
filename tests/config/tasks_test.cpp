#include "config/tasks.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "config/recipe_reader.h"
#include "core/fs.h"

namespace moesaic {
namespace {

constexpr const char* kTasks =
    "name: small\n"
    "model: {config: {model_type: llama, vocab_size: 272, hidden_size: 64, num_attention_heads: "
    "4,\n"
    "                 num_hidden_layers: 2}}\n"
    "schedule: {warmup_steps: 0}\n"
    "continual:\n"
    "  method: none\n"
    "  tasks:\n"
    "    - {name: legal, train: [{path: a.txt}], valid: [{path: b.txt}], max_steps: 30}\n"
    "    - {name: medical, train: [{path: c.txt}], valid: [{path: d.txt}], max_steps: 20}\n";

class Tasks : public testing::Test {
 protected:
  void SetUp() override { make_folder(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  LoadedRecipe load(const std::vector<std::string>& overrides = {}) const {
    write_file_atomic(folder_ + "/r.yaml", kTasks);
    return load_recipe(folder_ + "/r.yaml", overrides);
  }
  /// The only problem with these overrides, without its place.
  std::string problem(const std::vector<std::string>& overrides, bool warning = false) const {
    const LoadedRecipe loaded = load(overrides);
    EXPECT_EQ(loaded.problems.size(), 1U);
    if (loaded.problems.empty()) return "";
    EXPECT_EQ(loaded.problems[0].warning, warning);
    return loaded.problems[0].key + ": " + loaded.problems[0].message;
  }

  std::string folder_ = (std::filesystem::temp_directory_path() /
                         ("moesaic-recipe-tasks-" + std::to_string(::getpid())))
                            .string();
};

TEST_F(Tasks, TakeThePlaceOfTheRunsOwnDataAndSteps) {
  const LoadedRecipe loaded = load();
  EXPECT_TRUE(loaded.problems.empty())
      << (loaded.problems.empty() ? "" : loaded.problems[0].text());
  const std::vector<ContinualTask> tasks = tasks_of(loaded.recipe);
  ASSERT_EQ(tasks.size(), 2U);
  const Recipe alone = task_recipe(loaded.recipe, tasks[1]);
  EXPECT_EQ(alone.data.train.at(0).path, absolute_path("c.txt"));
  EXPECT_EQ(alone.data.valid.at(0).path, absolute_path("d.txt"));
  EXPECT_EQ(alone.train.max_steps, 20);
  EXPECT_TRUE(tasks_of(alone).empty());
  EXPECT_EQ(alone.continual->method, "none");
}

TEST_F(Tasks, AreWrittenAndReadBack) {
  const Recipe recipe = load().recipe;
  const Recipe again = recipe_from_yaml(to_yaml(recipe), "written");
  EXPECT_EQ(to_yaml(again), to_yaml(recipe));
  EXPECT_EQ(tasks_of(again).at(1).name, "medical");
}

TEST_F(Tasks, AllDataOfARecipeIsFound) {
  std::vector<std::string> keys;
  std::size_t sources = 0;
  for (const SourceList& list : source_lists(load().recipe)) {
    keys.push_back(list.key);
    sources += list.sources.size();
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"data.train", "data.valid", "continual.tasks[0].train",
                                            "continual.tasks[0].valid", "continual.tasks[1].train",
                                            "continual.tasks[1].valid",
                                            "continual.replay.sources"}));
  EXPECT_EQ(sources, 4U);
}

TEST_F(Tasks, DoNotGoWithTheRunsOwn) {
  for (const char* given : {"data.train=[{path: x}]", "data.valid=[{path: x}]", "train.max_steps=9",
                            "train.epochs=2"}) {
    EXPECT_NE(problem({given}).find("and continual.tasks are both given"), std::string::npos)
        << given;
  }
  EXPECT_NE(problem({"train.on_nonfinite=rewind"}).find("would leave their task"),
            std::string::npos);
}

std::string two(const std::string& second) {
  return "continual.tasks=[{name: a, train: [{path: x}], valid: [{path: x}], max_steps: 9}, " +
         second + "]";
}

TEST_F(Tasks, NeedNamesDataAndSteps) {
  const auto find = [&](const std::string& second, const char* expected) {
    EXPECT_NE(problem({two(second)}).find(expected), std::string::npos) << second;
  };
  find("{name: a, train: [{path: y}], valid: [{path: y}], max_steps: 9}", "of an earlier task");
  find("{name: '', train: [{path: y}], valid: [{path: y}], max_steps: 9}", "expected text");
  find("{name: \"a\\nb\", train: [{path: y}], valid: [{path: y}], max_steps: 9}", "is no name");
  find("{name: b, train: [], valid: [{path: y}], max_steps: 9}", "at least one source");
  find("{name: b, valid: [{path: y}], max_steps: 9}", "train is missing");
  find("{name: b, train: [{path: y}], max_steps: 9}", "valid is missing");
  find("{name: b, train: [{path: y}], valid: [{path: y}]}", "max_steps is missing");
  find("{name: b, train: [{path: y}], valid: [{path: y}], max_steps: 0}", "max_steps");
}

TEST_F(Tasks, WarnOfATaskThatEndsInWarmUp) {
  EXPECT_NE(problem({"schedule.warmup_steps=20"}, true).find("task 'medical'"), std::string::npos);
}

}  // namespace
}  // namespace moesaic
