#include "engine/open_data.h"

#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "support/idx_maker.h"

namespace moesaic {
namespace {

using testing::IdxPair;
using testing::TemporaryFolder;

constexpr std::int64_t kSteps = 3;

arch::Options classifier() {
  return arch::require_options({{"model_type", "mlp"},
                                {"input_size", 4},
                                {"hidden_sizes", Json::array()},
                                {"num_labels", 10}},
                               "test");
}

SourceOptions source_of(const IdxPair& pair) {
  return {.path = pair.images, .format = "idx", .labels = pair.labels};
}

/// Seven images to be learned and five old ones, which have other labels.
struct NewAndOld {
  TemporaryFolder new_folder, old_folder;
  SourceOptions fresh = source_of(testing::idx_pair(new_folder, {5, 2, 5, 3, 2, 2, 9}));
  SourceOptions old = source_of(testing::idx_pair(old_folder, {0, 1, 4, 6, 7}));
  RankContext context = RankContext::single();

  Recipe recipe(const SourceOptions& train, std::uint64_t seed, std::int64_t global) const {
    Recipe made;
    made.seed = seed;
    made.data.train = {train};
    made.data.valid = {fresh};
    made.train.max_steps = kSteps;
    made.train.global_batch_size = global;
    made.train.micro_batch_size = 2;
    return made;
  }
  RunData open(const Recipe& recipe) const {
    return open_data(recipe, classifier(), *make_tokenizer("byte"), context);
  }
};

/// Pixels and target of each image of a step, in order.
at::Tensor step_of(const StepData& data, std::int64_t step) {
  std::vector<at::Tensor> features, targets;
  for (std::int64_t i = 0; i < data.size(step).micro_batches; ++i) {
    const Batch batch = data.micro_batch(step, i);
    features.push_back(batch.features_TF);
    targets.push_back(batch.targets_T);
  }
  return at::cat({at::cat(features), at::cat(targets).unsqueeze(1)}, 1);
}

TEST(OpenData, ReplayKeepsTheOrderOfTheNewDataAndOfTheOld) {
  const NewAndOld given;
  Recipe recipe = given.recipe(given.fresh, 5, 8);
  recipe.continual.emplace().replay = {.share = 0.25, .sources = {given.old}};
  const RunData mixed = given.open(recipe);
  const RunData fresh = given.open(given.recipe(given.fresh, 5, 6));
  const RunData old = given.open(given.recipe(given.old, 6, 2));
  for (std::int64_t step = 0; step < kSteps; ++step) {
    EXPECT_TRUE(step_of(*mixed.train, step)
                    .equal(at::cat({step_of(*fresh.train, step), step_of(*old.train, step)})))
        << step;
  }
  EXPECT_EQ(mixed.train_sequences, 7);
  EXPECT_EQ(mixed.valid->sequences(), 7);
  EXPECT_EQ(mixed.description.at("replay"), old.description.at("train"));
}

TEST(OpenData, ReplayCountsTheEpochsOfTheNewData) {
  const NewAndOld given;
  Recipe recipe = given.recipe(given.fresh, 5, 4);
  recipe.continual.emplace().replay = {.share = 0.5, .sources = {given.old}};
  recipe.train.max_steps.reset();
  recipe.train.epochs = 2;
  EXPECT_EQ(given.open(recipe).max_steps, 4);  // 14 images in steps of 4
}

TEST(OpenData, RefusesToReplayWhatIsValidated) {
  const NewAndOld given;
  Recipe recipe = given.recipe(given.old, 5, 4);
  recipe.continual.emplace().replay = {.share = 0.5, .sources = {given.fresh}};
  testing::expect_error(ErrorKind::kRecipe, "is validation data, too", [&] { given.open(recipe); });
}

TEST(OpenData, GivesEachTaskItsOwn) {
  const NewAndOld given;
  SourceOptions permuted = given.fresh;
  permuted.permutation = 3;
  Recipe recipe = given.recipe(given.fresh, 5, 2);
  ContinualOptions& continual = recipe.continual.emplace();
  for (const SourceOptions& source : {given.fresh, permuted})
    continual.tasks.push_back(
        {.name = "task", .train = {source}, .valid = {source}, .max_steps = kSteps});
  const RunData both = given.open(recipe);
  const RunData alone = given.open(given.recipe(permuted, 5, 2));
  ASSERT_EQ(both.max_steps, 2 * kSteps);
  for (std::int64_t step = 0; step < kSteps; ++step)
    EXPECT_TRUE(step_of(*both.train, kSteps + step).equal(step_of(*alone.train, step))) << step;
  EXPECT_FALSE(step_of(*both.train, 0).equal(step_of(*both.train, kSteps)));
}

/// Seven new images with the labels 5 2 5 3 2 2 9, and five old ones: 0 1 4 6 7.
struct PrivateImages : ::testing::Test {
  NewAndOld given;

  Recipe recipe(double share = 0) const {
    Recipe made = given.recipe(given.fresh, 5, 2);
    made.data.valid.clear();
    PrivacyOptions& privacy = made.privacy.emplace();
    privacy.noise_multiplier = 1;
    privacy.expected_batch_size = 4;
    privacy.noise_seed = 3;
    if (share > 0) made.continual.emplace().replay = {.share = share, .sources = {given.old}};
    return made;
  }
  static void add_tasks(const std::vector<SourceOptions>& train,
                        const std::vector<SourceOptions>& valid, Recipe& recipe) {
    recipe.data.train.clear();
    recipe.train.max_steps.reset();
    if (!recipe.continual) recipe.continual.emplace();
    for (std::size_t i = 0; i < train.size(); ++i)
      recipe.continual->tasks.push_back(
          {.name = "task", .train = {train[i]}, .valid = {valid[i]}, .max_steps = kSteps});
  }
};

TEST_F(PrivateImages, ReplayIsDrawnWithARateOfItsOwn) {
  const RunData data = given.open(recipe(0.25));
  ASSERT_EQ(data.units.size(), 1U);
  const UnitDraws::Options& draws = data.units[0]->draws();
  EXPECT_EQ(draws.units, 12);
  EXPECT_EQ(draws.others.units, 5);
  EXPECT_DOUBLE_EQ(draws.rate, 3.0 / 7);
  EXPECT_DOUBLE_EQ(draws.others.rate, 1.0 / 5);
  EXPECT_EQ(data.train->size(0).target_tokens, 4);
  EXPECT_EQ(data.train_sequences, 7);
  EXPECT_EQ(data.description.at("train").size(), 1U);
  EXPECT_EQ(data.description.at("replay").size(), 1U);
}

TEST_F(PrivateImages, ATaskHasDrawsOfItsOwn) {
  Recipe both = recipe();
  add_tasks({given.fresh, given.old}, {given.fresh, given.old}, both);
  const RunData data = given.open(both);
  ASSERT_EQ(data.units.size(), 2U);
  EXPECT_EQ(data.units[0]->draws().units, 7);
  EXPECT_EQ(data.units[1]->draws().units, 5);
  EXPECT_DOUBLE_EQ(data.units[1]->draws().rate, 4.0 / 5);
  EXPECT_EQ(data.max_steps, 2 * kSteps);
  EXPECT_EQ(data.tasks->hidden, (std::set<std::size_t>{0, 1}));
}

// What any of the tasks is trained on is nobody's validation.
TEST_F(PrivateImages, TheLossOnTrainingDataIsHidden) {
  const TemporaryFolder other;
  const SourceOptions valid = source_of(testing::idx_pair(other, {5, 5, 2, 1}));
  Recipe tasks = recipe();
  add_tasks({given.fresh, given.old}, {given.old, valid}, tasks);
  EXPECT_EQ(given.open(tasks).tasks->hidden, (std::set<std::size_t>{0}));
  tasks.privacy->log_loss = true;
  EXPECT_TRUE(given.open(tasks).tasks->hidden.empty());

  Recipe one = recipe();
  one.data.valid = {given.fresh};
  EXPECT_EQ(given.open(one).valid, nullptr);
  one.data.valid = {valid};
  EXPECT_NE(given.open(one).valid, nullptr);
}

TEST_F(PrivateImages, ThatAreNewAndOldAreNew) {
  Recipe tasks = recipe(0.25);
  add_tasks({given.fresh, given.old}, {given.fresh, given.fresh}, tasks);
  const RunData data = given.open(tasks);
  EXPECT_EQ(data.units[0]->draws().others.units, 5);
  const UnitDraws::Options& second = data.units[1]->draws();  // the old data are its own
  EXPECT_EQ(second.units, 5);
  EXPECT_EQ(second.others.units, 0);
  EXPECT_DOUBLE_EQ(second.rate, 4.0 / 5);
}

TEST_F(PrivateImages, AreTooFew) {
  Recipe few = recipe(0.25);
  few.privacy->expected_batch_size = 10;  // 7.5 of 7
  testing::expect_error(ErrorKind::kRecipe, "7.5 of them of the data", [&] { given.open(few); });
  few = recipe();
  few.privacy->delta = 0.15;  // of 7 units, and of 12 of both tasks
  testing::expect_error(ErrorKind::kRecipe, "of 7 units of kind sequence",
                        [&] { given.open(few); });
  few.privacy->delta = 0.1;
  EXPECT_EQ(given.open(few).units.size(), 1U);
  add_tasks({given.fresh, given.old}, {given.fresh, given.old}, few);
  testing::expect_error(ErrorKind::kRecipe, "of 12 units of kind sequence",
                        [&] { given.open(few); });
}

}  // namespace
}  // namespace moesaic
