#include "config/silos.h"

#include <gtest/gtest.h>

#include "config/recipe_reader.h"
#include "core/error.h"
#include "core/fs.h"

namespace moesaic {
namespace {

std::vector<SiloOptions> silos_of_ranks(const std::vector<std::int64_t>& ranks) {
  std::vector<SiloOptions> silos;
  for (const std::int64_t count : ranks) silos.push_back({.name = "s", .ranks = count});
  return silos;
}

using Ranks = std::vector<int>;

TEST(SiloSlots, AreTheSilosWhereThereAreRanksForAll) {
  const SiloSlots slots = silo_slots(silos_of_ranks({2, 1, 3}), 6);
  EXPECT_EQ(slots.ranks, (Ranks{2, 1, 3}));
  const std::size_t slot_of[] = {0, 0, 1, 2, 2, 2};
  for (int rank = 0; rank < 6; ++rank) EXPECT_EQ(slots.slot_of(rank), slot_of[rank]) << rank;
  EXPECT_EQ(slots.first_rank(0), 0);
  EXPECT_EQ(slots.first_rank(2), 3);
}

TEST(SiloSlots, HaveTheLargestSilosRanksWhereTheyTakeTurns) {
  EXPECT_EQ(silo_slots(silos_of_ranks({2, 1, 2}), 4).ranks, (Ranks{2, 2}));
  EXPECT_EQ(silo_slots(silos_of_ranks({1, 1, 1}), 1).ranks, (Ranks{1}));
}

TEST(SiloSlots, RefuseRanksThatCannotBeCut) {
  EXPECT_THROW(silo_slots(silos_of_ranks({2, 2}), 5), Error);
  EXPECT_THROW(silo_slots(silos_of_ranks({2, 2}), 3), Error);
}

constexpr const char* kRecipe = R"(
name: federation
model: {config: {model_type: llama, vocab_size: 257, hidden_size: 16, intermediate_size: 16,
        num_hidden_layers: 1, num_attention_heads: 2}}
train: {global_batch_size: 4, micro_batch_size: 2}
federated:
  rounds: 3
  local_steps: 5
  silos:
    - {name: a, ranks: 2, train: [{path: a.txt}], valid: [{path: b.txt}]}
    - {name: c, train: [{path: c.txt}]}
)";

TEST(SiloRecipe, IsOneRoundOfTheSiloAlone) {
  const Recipe recipe = recipe_from_yaml(kRecipe, "recipe.yaml");
  EXPECT_EQ(recipe.parallel.ranks, 3);  // of all silos
  const Recipe silo = silo_recipe(recipe, recipe.federated->silos[1]);
  EXPECT_FALSE(silo.federated.has_value());
  EXPECT_EQ(silo.train.max_steps, 5);
  EXPECT_EQ(silo.data.train.at(0).path, absolute_path("c.txt"));
  EXPECT_TRUE(silo.data.valid.empty());
  EXPECT_EQ(silo.run_dir, recipe.run_dir + "/silos/c");
  EXPECT_EQ(evaluation_recipe(recipe).data.valid.at(0).path, absolute_path("b.txt"));
}

TEST(SiloRecipe, HasALedgerOfItsOwnAndPaysForAllRounds) {
  const std::string privacy = "privacy: {noise_multiplier: 1, noise_seed: 3}\n";
  const Recipe recipe = recipe_from_yaml(kRecipe + privacy, "recipe.yaml");
  const Recipe a = silo_recipe(recipe, recipe.federated->silos[0]),
               c = silo_recipe(recipe, recipe.federated->silos[1]);
  EXPECT_EQ(a.privacy->ledger, recipe.run_dir + "/silos/a/ledger.json");
  EXPECT_EQ(c.privacy->ledger, silo_ledger(recipe, "c"));
  EXPECT_EQ(c.privacy->rounds, 3);
  EXPECT_NE(a.privacy->noise_seed, c.privacy->noise_seed);  // other noise in each
  const Recipe evaluated = evaluation_recipe(recipe);
  ASSERT_EQ(evaluated.data.train.size(), 2U);  // of these the validation must tell nothing
  EXPECT_EQ(evaluated.data.train[1].path, absolute_path("c.txt"));
  EXPECT_EQ(evaluation_recipe(recipe_from_yaml(kRecipe, "recipe.yaml")).data.train.size(), 1U);
}

TEST(SilosThatAreHidden, SetWhatTheyNeed) {
  const std::string text = kRecipe;
  const auto read = [&](const std::string& privacy) {
    return recipe_from_yaml(text + "  privacy: {" + privacy + "}\n", "recipe.yaml");
  };
  const Recipe recipe = read("budget: {epsilon: 3, delta: 1.0e-7}, where: silos");
  EXPECT_EQ(recipe.federated->aggregator.weights, "uniform");
  EXPECT_EQ(recipe.federated->privacy->delta, 1e-7);
  EXPECT_EQ(recipe.federated->privacy->ledger, recipe.run_dir + "/silo-ledger.json");
  EXPECT_TRUE(silos_add_noise(recipe));
  EXPECT_TRUE(hides_numbers_of_silos(recipe));
  EXPECT_FALSE(hides_numbers_of_silos(read("log_loss: true")));
  EXPECT_FALSE(silos_add_noise(read("clip_norm: 2")));
  EXPECT_FALSE(hides_numbers_of_silos(recipe_from_yaml(kRecipe, "recipe.yaml")));
  EXPECT_THROW(read("delta: 1.0e-8, budget: {epsilon: 3, delta: 1.0e-7}"), Error);
  EXPECT_EQ(to_yaml(recipe_from_yaml(to_yaml(recipe), "again")), to_yaml(recipe));
}

TEST(SilosThatAreHidden, AreAsManyAsARoundAsks) {
  Recipe recipe = recipe_from_yaml(std::string(kRecipe) + "  privacy: {clip_norm: 2}\n", "r.yaml");
  EXPECT_EQ(private_sum_of(*recipe.federated).silos, 2U);
  recipe.federated->clients_per_round = 1;
  EXPECT_EQ(private_sum_of(*recipe.federated).silos, 1U);
  recipe.federated->privacy->silos = 7;  // of a silo's recipe, which names no other
  EXPECT_EQ(private_sum_of(*recipe.federated).silos, 7U);
  EXPECT_EQ(private_sum_of(*recipe.federated).clip_norm, 2);
}

TEST(SiloRecipe, ReadsBackAsItIsWritten) {
  const Recipe recipe = recipe_from_yaml(kRecipe, "recipe.yaml");
  EXPECT_EQ(to_yaml(recipe_from_yaml(to_yaml(recipe), "again")), to_yaml(recipe));
}

TEST(SiloRecipe, CountsPassesInPlaceOfSteps) {
  Recipe recipe = recipe_from_yaml(kRecipe, "recipe.yaml");
  recipe.federated->local_steps.reset();
  EXPECT_EQ(silo_recipe(recipe, recipe.federated->silos[0]).train.max_steps, 10);
  recipe.federated->local_epochs = 2;
  const Recipe again = recipe_from_yaml(to_yaml(recipe), "again");
  const Recipe silo = silo_recipe(again, again.federated->silos[0]);
  EXPECT_EQ(silo.train.epochs, 2);
  EXPECT_FALSE(silo.train.max_steps.has_value());
}

TEST(RequireInOneJob, RefusesWhatIsNotDone) {
  Recipe recipe;
  FederatedOptions& federated = recipe.federated.emplace();
  EXPECT_NO_THROW(require_in_one_job(recipe));
  for (const char* lora : {"svd", "residual", "stacking"}) {
    federated.aggregator.lora = lora;
    federated.aggregator.learning_rate = 0.5;
    EXPECT_THROW(require_in_one_job(recipe), Error) << lora;
    federated.aggregator.learning_rate = 1;
    EXPECT_NO_THROW(require_in_one_job(recipe)) << lora;
  }
  federated.secure_aggregation = SecureAggregationOptions{};
  EXPECT_NO_THROW(require_in_one_job(recipe));
  federated.privacy.emplace();
  EXPECT_NO_THROW(require_in_one_job(recipe));
  recipe.adapt.emplace().esft.emplace();
  EXPECT_THROW(require_in_one_job(recipe), Error);
}

}  // namespace
}  // namespace moesaic
