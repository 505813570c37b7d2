#include "engine/assemble.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/fs.h"
#include "engine/trainer.h"
#include "observe/temp_folder.h"
#include "support/tiny_parts.h"

namespace moesaic {
namespace {

struct Assembled {
  testing::TempFolder folder;
  Recipe recipe = test::small_recipe(folder.path());
  RankContext context = RankContext::single();

  Assembled() {
    std::string lines;
    for (int line = 0; line < 12; ++line)
      lines += format("{{\"ids\": [{}, 2, 3, 4, 5, 6, 7, 8, 9]}}\n", line);
    write_file_atomic(folder.file("tokens.jsonl"), lines);
    recipe.data.train = {{.path = folder.file("tokens.jsonl"), .format = "tokens"}};
    recipe.data.valid = recipe.data.train;
    recipe.data.sequence_length = 6;
    recipe.train.global_batch_size = 4;
    recipe.train.micro_batch_size = 2;
  }
  TrainingParts parts() {
    return assemble(recipe, arch::require_options(recipe.model.config, "small"), context);
  }
};

std::vector<std::string> names_of(const LossTerms& losses) {
  std::vector<std::string> names;
  for (const auto& term : losses) names.emplace_back(term->name());
  return names;
}

TEST(Assemble, MakesThePartsThatTheRecipeNames) {
  Assembled a;
  TrainingParts parts = a.parts();
  EXPECT_EQ(names_of(parts.losses),
            (std::vector<std::string>{"loss", "loss_balance", "loss_router_z"}));
  EXPECT_EQ(parts.transforms.at(0)->name(), "clip_by_global_norm(1)");
  EXPECT_EQ(parts.around.size(), 3U);  // routing, bias, gates
  EXPECT_EQ(parts.train->size(0).micro_batches, 2);
  EXPECT_NE(parts.valid, nullptr);
  EXPECT_EQ(parts.config.at("model_type"), "deepseek_v3");
  EXPECT_EQ(parts.optimizer->state().size(), 2 * parts.gradients.entries.size());
  Trainer trainer(a.context, parts);
  EXPECT_GT(trainer.step(1, {.logged = true}).loss_total, 0);
}

TEST(Assemble, LeavesOutWhatTheRecipeTurnsOff) {
  Assembled a;
  a.recipe.moe.balance.type = "none";
  a.recipe.moe.router_z_coefficient = 0;
  a.recipe.data.valid.clear();
  a.recipe.train.clip_norm = 0;
  a.recipe.optimizer.type = "sgd";
  const TrainingParts parts = a.parts();
  EXPECT_EQ(names_of(parts.losses), std::vector<std::string>{"loss"});
  EXPECT_EQ(parts.around.size(), 2U);
  EXPECT_EQ(parts.valid, nullptr);
  EXPECT_EQ(parts.transforms.at(0)->name(), "measure_global_norm");
  EXPECT_TRUE(parts.optimizer->state().empty());
}

TEST(Assemble, CountsTheStepsOfEpochs) {
  Assembled a;
  a.recipe.train.max_steps.reset();
  a.recipe.train.epochs = 2.5;  // 17 sequences, 4 a step: 42.5 / 4
  EXPECT_EQ(a.parts().max_steps, 11);
}

TEST(Assemble, RefusesTokensOutsideTheVocabulary) {
  Assembled a;
  write_file_atomic(a.folder.file("tokens.jsonl"), "{\"ids\": [1, 2, 3, 4, 5, 6, 7, 29]}\n");
  EXPECT_THROW(a.parts(), Error);
}

// Pulled to where it started: lambda / 2 x the squared way of all that is trained.
TEST(Assemble, PutsThePenaltyBeforeClippingAndIntoTheLoss) {
  Assembled a;
  a.recipe.continual = ContinualOptions{.method = "l2", .lambda = 10};
  TrainingParts parts = a.parts();
  ASSERT_EQ(parts.transforms.size(), 2U);
  EXPECT_EQ(parts.transforms[0]->name(), "l2(10)");
  EXPECT_EQ(parts.transforms[0]->state().size(), parts.gradients.entries.size() + 1);
  const std::vector<at::Tensor> start = test::weights_of(parts);
  Trainer trainer(a.context, parts);
  EXPECT_EQ(*trainer.step(1, {}).transforms.find("loss_l2"), 0);
  double way = 0;
  for (const Parameter& parameter : *parts.parameters) {
    const at::Tensor& old = start[static_cast<std::size_t>(parameter.index)];
    if (parameter.trainable) way += parameter.tensor.sub(old).square().sum().item<double>();
  }
  const StepReport report = trainer.step(2, {});
  EXPECT_NEAR(*report.transforms.find("loss_l2"), 5 * way, 1e-9 * way);

  double total = *report.transforms.find("loss_l2");
  const std::vector<double> coefficients = {1, 0.01 * 1, 0.001 * 1};  // one layer has experts
  for (std::size_t i = 0; i < report.losses.size(); ++i)
    total += coefficients.at(i) * report.losses[i].second;
  EXPECT_NEAR(report.loss_total, total, 1e-9);
}

TEST(Assemble, AddsADistanceFromTheOldModel) {
  Assembled a;
  a.recipe.continual = ContinualOptions{.method = "lwf", .lambda = 2};
  TrainingParts parts = a.parts();
  EXPECT_EQ(names_of(parts.losses).back(), "loss_lwf");
  EXPECT_EQ(parts.transforms.size(), 1U);
  Trainer trainer(a.context, parts);
  EXPECT_NEAR(trainer.step(1, {}).losses.back().second, 0, 1e-12);
  EXPECT_GT(trainer.step(2, {}).losses.back().second, 1e-9);
}

TEST(Assemble, RefusesAMethodThatHasNothingToPullTo) {
  Assembled a;
  a.recipe.continual = ContinualOptions{};
  EXPECT_THROW(a.parts(), Error);
}

}  // namespace
}  // namespace moesaic
