#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>

#include "config/check.h"
#include "config/recipe_reader.h"
#include "core/fs.h"

namespace moesaic {
namespace {

constexpr const char* kRecipe =
    "name: small\n"
    "model: {config: {model_type: llama, vocab_size: 272, hidden_size: 64, num_attention_heads: "
    "4,\n"
    "                 num_hidden_layers: 2}}\n"
    "data: {train: [{path: a.txt}]}\n"
    "train: {max_steps: 30}\n"
    "schedule: {warmup_steps: 0}\n";

class ContinualKeys : public testing::Test {
 protected:
  void SetUp() override {
    make_folder(folder_);
    write_file_atomic(folder_ + "/r.yaml", kRecipe);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// All problems with this block, without their places.
  std::string problems(const std::string& block) const {
    std::string text;
    for (const Problem& problem : load_recipe(folder_ + "/r.yaml", {"continual=" + block}).problems)
      text += problem.key + ": " + problem.message + "\n";
    return text;
  }
  void expect(const std::string& block, const std::string& part) const {
    const std::string text = problems(block);
    EXPECT_NE(text.find(part), std::string::npos) << block << ":\n" << text;
  }

  std::string folder_ =
      (std::filesystem::temp_directory_path() / ("moesaic-continual-" + std::to_string(::getpid())))
          .string();
};

TEST_F(ContinualKeys, TakesWhatFits) {
  EXPECT_EQ(problems("{method: l2, lambda: 3}"), "");
  EXPECT_EQ(problems("{method: none, replay: {share: 0.1, sources: [{path: b.txt}]}}"), "");
}

TEST_F(ContinualKeys, RefuseAClassThatNoTaskLearns) {
  const auto tasks = [](const std::string& learned, const std::string& judged) {
    return "{method: none, tasks: [{name: a, max_steps: 1, train: [{path: a, labels: b, format: "
           "idx" +
           learned + "}], valid: [{path: c, labels: d, format: idx, classes: [" + judged +
           "]}]}, {name: b, max_steps: 1, train: [{path: a, labels: b, format: idx, classes: [5, "
           "7]}], valid: [{path: c, labels: d, format: idx}]}]}";
  };
  expect(tasks(", classes: [0, 1]", "0, 4"),
         "continual.tasks[0].valid[0].classes: no task has the class 4 in its training data");
  for (const std::string& allowed : {tasks(", classes: [0, 1]", "1, 7"), tasks("", "0, 4")})
    EXPECT_EQ(problems(allowed).find("no task has"), std::string::npos);
}

TEST_F(ContinualKeys, TakeDistillationOfTasksWhoseOutputsAreMasked) {
  const std::string text = problems(
      "{method: lwf, mask_classes: true, tasks: [{name: a, train: [{path: a.txt}], valid: [{path: "
      "b.txt}], max_steps: 1}]}");
  EXPECT_EQ(text.find("continual.method"), std::string::npos) << text;
  EXPECT_NE(text.find("continual.mask_classes: needs a classifier"), std::string::npos) << text;
}

// What can only be checked with a model that adapters stand beside.
std::string problems_of(const Recipe& recipe) {
  ProblemList problems;
  check_continual(recipe, {}, {}, problems);
  std::string text;
  for (const Problem& problem : problems.sorted())
    text += problem.key + ": " + problem.message + "\n";
  return text;
}

TEST(ContinualTasks, GoWithAdaptersAndExpertsThatMove) {
  Recipe recipe;
  recipe.continual.emplace().tasks.resize(2);
  for (const char* method : {"lwf", "si", "ewc"}) {
    recipe.continual->method = method;
    recipe.moe.placement = "balanced";
    recipe.adapt.emplace().lora.emplace();
    EXPECT_EQ(problems_of(recipe), "") << method;
  }
}

TEST(ContinualTasks, RefuseAPathOfGradientsThatPrivacyDoesNotSee) {
  Recipe recipe;
  recipe.continual.emplace().tasks.resize(2);
  recipe.continual->method = "si";
  recipe.privacy.emplace();
  EXPECT_EQ(problems_of(recipe), "");
  recipe.adapt.emplace().lora.emplace();
  EXPECT_NE(problems_of(recipe).find("si with adapt.lora does not go with privacy"),
            std::string::npos);
}

TEST_F(ContinualKeys, RefusesWhatDoesNotFit) {
  expect("{method: ewc, lambda: -1}", "continual.lambda: ");
  expect("{method: l2, importance: [none.h5]}", "continual.importance: needs model.from");
  expect("{method: l2, router_lambda: -2}", "continual.router_lambda: ");
  expect("{method: lwf}", "continual.method: lwf needs an old model");
  expect("{method: none, replay: {share: 0.1}}", "needs continual.replay.sources");
  expect("{method: none, replay: {share: 1, sources: [{path: b.txt}]}}", "continual.replay.share");
  expect(
      "{method: si, tasks: [{name: a, train: [{path: a.txt}], valid: [{path: a.txt}], "
      "max_steps: 1, steps: 3}]}",
      "steps: unknown key");
}

TEST(AnchorsOfChanges, AreKeptWhereTheyAreNotZero) {
  Recipe recipe;
  recipe.continual.emplace();
  recipe.continual->importance = {"old.h5"};
  recipe.adapt.emplace().lora.emplace();
  EXPECT_FALSE(keeps_anchors_of_changes(recipe));
  recipe.adapt->lora->init_lora_weights = "pissa";
  EXPECT_TRUE(keeps_anchors_of_changes(recipe));
  recipe.adapt->lora->init_lora_weights = "default";
  recipe.continual->importance = {"old.h5", "new.h5"};
  EXPECT_TRUE(keeps_anchors_of_changes(recipe));
  recipe.continual->importance.clear();
  EXPECT_FALSE(keeps_anchors_of_changes(recipe));
  recipe.adapt->from = "adapter";
  EXPECT_TRUE(keeps_anchors_of_changes(recipe));
}

TEST_F(ContinualKeys, SaysWhatHasNoEffect) {
  expect("{method: ewc}", "ewc has nothing to pull to");
  expect("{method: l2, temperature: 3}", "continual.temperature: has no effect");
  expect("{method: l2, fisher: {labels: empirical}}", "continual.fisher.labels: has no effect");
  expect("{method: l2, router_lambda: 2}", "has no effect: the model is dense");
  expect("{method: none, lambda: 3}", "continual.lambda: has no effect");
  expect("{method: none, replay: {sources: [{path: b.txt}]}}",
         "continual.replay.sources: has no effect");
}

}  // namespace
}  // namespace moesaic
