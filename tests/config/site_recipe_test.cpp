#include "config/site_recipe.h"

#include <gtest/gtest.h>

#include "config/recipe_reader.h"
#include "config/silos.h"
#include "config/site_allowance.h"
#include "core/error.h"
#include "core/fs.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

constexpr const char* kSite =
    "name: a\ndata: {train: [{path: /a.txt}], valid: [{path: /v.txt}]}\n"
    "parallel: {ranks: 2, expert: 2}\nprivacy: {ledger: /a.ledger}\n";

Recipe federation() {
  Recipe recipe;
  recipe.name = "f";
  recipe.run_dir = "/runs/f";
  recipe.model.config = {{"model_type", "olmoe"},
                         {"vocab_size", 272},
                         {"hidden_size", 32},
                         {"intermediate_size", 24},
                         {"num_hidden_layers", 1},
                         {"num_attention_heads", 4},
                         {"num_key_value_heads", 2},
                         {"num_experts", 4},
                         {"num_experts_per_tok", 2},
                         {"norm_topk_prob", true},
                         {"max_position_embeddings", 512}};
  recipe.schedule.warmup_steps = 0;
  recipe.parallel.device = "cuda";
  recipe.federated = FederatedOptions{.rounds = 7, .local_steps = 5};
  for (const char* name : {"a", "b"})
    recipe.federated->silos.push_back({.name = name, .train = {{.path = "/secret/place.txt"}}});
  return recipe;
}

struct Files {
  testing::TempFolder folder;
  std::string write(const std::string& text) const {
    const std::string path = folder.file("file.yaml");
    write_file_atomic(path, text);
    return path;
  }
  void expect_refused(const std::string& text, const std::string& words) const {
    try {
      require_site_recipe(write(text));
      FAIL() << "it was read: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
};

TEST(SiteRecipe, HasWhatIsTheSilosOwn) {
  const Files files;
  const SiteRecipe site = require_site_recipe(files.write(kSite), {}, 4);
  EXPECT_EQ(site.name, "a");
  ASSERT_EQ(site.data.train.size(), 1U);
  EXPECT_EQ(site.data.train[0].path, "/a.txt");
  EXPECT_EQ(site.parallel.ranks, 4);
  EXPECT_EQ(site.parallel.expert, 2);
  EXPECT_EQ(site.privacy.ledger, "/a.ledger");
  const SiteRecipe again = require_site_recipe(files.write(to_yaml(site)));
  EXPECT_EQ(to_yaml(again), to_yaml(site));
}

TEST(SiteRecipe, RefusesAllElse) {
  const Files files;
  files.expect_refused("name: a\ndata: {train: [{path: /a}]}\ntrain: {max_steps: 3}\n",
                       "is no key of a silo's own recipe");
  files.expect_refused("name: a\ndata: {train: [{path: /a}], sequence_length: 3}\n",
                       "file.yaml:2:");
  files.expect_refused("data: {train: [{path: /a}]}\n", "name: is missing");
  files.expect_refused("name: a\n", "data.train: is missing");
  files.expect_refused("name: a/b\ndata: {train: [{path: /a}]}\n", "is no name");
  files.expect_refused("- a\n", "expected the keys of a silo");
  files.expect_refused("name: a\ndata: {train: [{path: /a}]}\nparallel: {ranks: 3, expert: 2}\n",
                       "does not divide 3 ranks");
}

// What one silo is told has nothing of the others.
TEST(SiteRecipe, IsLaidOverWhatTheCoordinatorOffers) {
  const Files files;
  const std::string text = to_yaml(offered_recipe(federation()));
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_EQ(text.find("/runs/f"), std::string::npos);
  const Recipe offered = recipe_from_yaml(text, "offer");
  const Recipe recipe =
      recipe_of_site(offered, require_site_recipe(files.write(kSite)), "/runs/here");
  ASSERT_EQ(silos_of(recipe).size(), 1U);
  EXPECT_EQ(silos_of(recipe)[0].name, "a");
  EXPECT_EQ(silos_of(recipe)[0].train[0].path, "/a.txt");
  EXPECT_EQ(recipe.run_dir, "/runs/here");
  EXPECT_EQ(recipe.parallel.device, "cpu");
  EXPECT_EQ(recipe.federated->rounds, 7);
  EXPECT_EQ(recipe.seed, federation().seed);
}

// It names itself alone, and knows with how many others it hides.
TEST(SiteRecipe, KnowsTheSilosOfARoundAndNotTheLedgerOfTheFederation) {
  const Files files;
  Recipe of_all = federation();
  of_all.federated->aggregator.weights = "uniform";
  of_all.federated->privacy = ClientPrivacyOptions{
      .where = "silos", .ledger = "/secret/ledger", .budget = PrivacyBudgetOptions{}};
  const std::string text = to_yaml(offered_recipe(of_all));
  EXPECT_EQ(text.find("secret"), std::string::npos);
  const Recipe recipe = recipe_of_site(recipe_from_yaml(text, "offer"),
                                       require_site_recipe(files.write(kSite)), "/runs/here");
  EXPECT_FALSE(recipe.federated->privacy->budget.has_value());
  EXPECT_TRUE(silos_add_noise(recipe));
  EXPECT_EQ(silos_in_round(*recipe.federated), 2U);
}

// A coordinator names no file that a silo reads or writes.
TEST(SiteRecipe, ItsDataAreItsOwn) {
  const SiteRecipe site{.name = "a", .data = {.train = {{.path = "/a.txt"}}, .valid = {}}};
  Recipe offered = federation();
  offered.data.train.push_back({.path = "/secret.txt"});
  offered.data.valid = offered.data.train;
  offered.data.cache = "/etc";
  const Recipe recipe = recipe_of_site(offered, site, "/runs/here");
  EXPECT_TRUE(recipe.data.train.empty());
  EXPECT_TRUE(recipe.data.valid.empty());
  EXPECT_FALSE(recipe.data.cache.has_value());
  EXPECT_NO_THROW(require_across_sites(offered));
  offered.continual.emplace().replay.share = 0.5;
  EXPECT_THROW(require_across_sites(offered), Error);
}

TEST(SiteRecipe, ABudgetIsForTrainingThatIsChargedToIt) {
  const SiteRecipe site{.name = "a", .privacy = {.budget = PrivacyBudgetOptions{.epsilon = 3}}};
  Recipe offered = federation();
  EXPECT_THROW(recipe_of_site(offered, site, "/runs/here"), Error);
  offered.privacy.emplace();
  EXPECT_EQ(recipe_of_site(offered, site, "/runs/here").privacy->budget->epsilon, 3);
}

void expect_not_allowed(const SiteAllowance& allowance, const std::string& words,
                        const Recipe& recipe = federation()) {
  try {
    allowed_recipe(allowance, recipe);
    FAIL() << "it was allowed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(SiteAllowance, RefusesMoreThanItAllows) {
  EXPECT_EQ(allowed_recipe({}, federation()).federated->rounds, 7);
  expect_not_allowed({.rounds = 6}, "7 rounds, and this silo allows 6");
  expect_not_allowed({.local_steps = 4}, "5 local steps a round, and this silo allows 4");
  expect_not_allowed({.aggregators = {"median", "krum"}}, "fedavg, and this silo allows median");
  expect_not_allowed({.model_types = {"mixtral"}}, "olmoe");
  expect_not_allowed({.privacy = true}, "without record-level privacy");
  EXPECT_NO_THROW(
      allowed_recipe({.aggregators = {"fedavg"}, .rounds = 7, .local_steps = 5}, federation()));
}

TEST(SiteAllowance, PrivacyThatHidesNothingIsNone) {
  Recipe recipe = federation();
  recipe.privacy.emplace().noise_multiplier = 1;
  EXPECT_NO_THROW(allowed_recipe({.privacy = true}, recipe));
  recipe.privacy->allow_no_privacy = true;
  expect_not_allowed({.privacy = true}, "privacy.allow_no_privacy", recipe);
  EXPECT_NO_THROW(allowed_recipe({}, recipe));
  recipe.privacy->allow_no_privacy = false;
  recipe.privacy->noise_seed = 4;
  expect_not_allowed({.privacy = true}, "privacy.noise_seed", recipe);
  recipe.privacy->noise_seed.reset();
  recipe.privacy->log_loss = true;
  expect_not_allowed({.privacy = true}, "privacy.log_loss", recipe);
}

TEST(SiteAllowance, PutsBaseAndTokenizerWhereTheyAreHere) {
  Recipe recipe = federation();
  recipe.model.from = "/there";
  const Recipe here = allowed_recipe({.model = "/here", .tokenizer = "/here/t.json"}, recipe);
  EXPECT_EQ(here.model.from, "/here");
  EXPECT_EQ(here.tokenizer, "/here/t.json");
}

TEST(SiteAllowance, NamesAParameterThatMayNotLeave) {
  const SiteAllowance allowance{.parameters = {".*lora_B.*"}};
  EXPECT_NO_THROW(require_may_leave(allowance, {"model.x.lora_B.weight"}));
  EXPECT_THROW(require_may_leave(allowance, {"model.x.lora_B.weight", "lm_head.weight"}), Error);
}

TEST(SiteAllowance, IsReadStrictly) {
  const Files files;
  const SiteAllowance read =
      require_allowance(files.write("rounds: 3\naggregators: [fedavg]\nparameters: ['a.*']\n"));
  EXPECT_EQ(read.rounds, 3);
  EXPECT_EQ(read.aggregators, std::vector<std::string>{"fedavg"});
  EXPECT_THROW(require_allowance(files.write("round: 3\n")), Error);
  EXPECT_THROW(require_allowance(files.write("parameters: ['(']\n")), Error);
  EXPECT_THROW(require_allowance(files.write("")), Error);
}

}  // namespace
}  // namespace moesaic
