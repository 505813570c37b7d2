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

}  // namespace
}  // namespace moesaic
