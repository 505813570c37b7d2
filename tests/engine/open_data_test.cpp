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

}  // namespace
}  // namespace moesaic
