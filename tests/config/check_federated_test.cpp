#include <gtest/gtest.h>

#include "config/check.h"
#include "config/sample_schema.h"
#include "core/format.h"

namespace moesaic {
namespace {

/// A recipe with silos s0, s1 ... of one rank each.
Recipe federation(std::size_t silos) {
  Recipe recipe;
  recipe.federated.emplace();
  for (std::size_t i = 0; i < silos; ++i)
    recipe.federated->silos.push_back({.name = format("s{}", i), .train = {{.path = "a.txt"}}});
  return recipe;
}

std::string problems_of(const Recipe& recipe, const Places& places = {}) {
  ProblemList problems;
  check_federated(recipe, places, problems);
  std::string text;
  for (const Problem& problem : problems.sorted())
    text += problem.key + ": " + problem.message + "\n";
  return text;
}

void expect(const Recipe& recipe, const std::string& part) {
  const std::string text = problems_of(recipe);
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
}

TEST(CheckFederated, TakesWhatFits) {
  EXPECT_EQ(problems_of(federation(2)), "");
  Recipe recipe = federation(7);
  recipe.federated->aggregator = {.type = "bulyan", .f = 1};
  EXPECT_EQ(problems_of(recipe), "");
  recipe.federated->aggregator = {.type = "norm_bound"};
  recipe.federated->secure_aggregation = SecureAggregationOptions{.threshold = 7};
  EXPECT_EQ(problems_of(recipe), "");
  recipe.federated->aggregator = {.type = "fednova"};
  EXPECT_EQ(problems_of(recipe), "");
}

TEST(CheckFederated, RulesNeedTheirSilos) {
  Recipe recipe = federation(4);
  recipe.federated->aggregator = {.type = "krum", .f = 1};
  expect(recipe, "krum with f 1 needs 5 silos in a round, 2 f + 3; there are 4");
  recipe = federation(7);
  recipe.federated->aggregator = {.type = "bulyan", .f = 2};
  expect(recipe, "bulyan with f 2 needs 11 silos in a round, 4 f + 3; there are 7");
  recipe.federated->aggregator = {.type = "multi_krum", .f = 1, .keep = 7};
  expect(recipe, "federated.aggregator.keep: is 7");
  recipe.federated->aggregator = {.type = "krum", .f = 1};
  recipe.federated->clients_per_round = 4;
  expect(recipe, "there are 4");
}

TEST(CheckFederated, SecureSumsHideWhatRobustRulesCompare) {
  for (const std::string type : {"median", "trimmed_mean", "krum", "multi_krum", "bulyan"}) {
    Recipe recipe = federation(9);
    recipe.federated->aggregator.type = type;
    recipe.federated->secure_aggregation = SecureAggregationOptions{.threshold = 5};
    expect(recipe, "federated.secure_aggregation: does not go with " + type);
  }
  Recipe recipe = federation(3);
  recipe.federated->secure_aggregation = SecureAggregationOptions{.threshold = 4};
  expect(recipe, "is 4; a round has 3 silos");
  recipe.federated->secure_aggregation = SecureAggregationOptions{.threshold = 2};
  recipe.federated->local_epochs = 1;
  expect(recipe, "with local_epochs needs aggregator.weights uniform");
  recipe.federated->aggregator = {.weights = "uniform", .experts = "routed_tokens"};
  expect(recipe, "with local_epochs needs aggregator.experts uniform");
}

TEST(CheckFederated, SecureSumsGoWithWhatIsOfEachSiloAlone) {
  Recipe recipe = federation(3);
  recipe.federated->secure_aggregation = SecureAggregationOptions{.threshold = 2};
  recipe.federated->compression = TopKOptions{};
  recipe.federated->aggregator.experts = "routed_tokens";
  EXPECT_EQ(problems_of(recipe), "");
  recipe.federated->aggregator = {.type = "scaffold"};
  recipe.optimizer = {.type = "sgd"};
  EXPECT_EQ(problems_of(recipe), "");
}

TEST(CheckFederated, RefusesWhatDoesNotGoTogether) {
  Recipe recipe = federation(2);
  recipe.data.train = {{.path = "a.txt"}};
  recipe.train.max_steps = 3;
  expect(recipe, "data.train: and federated are both given");
  expect(recipe, "train.max_steps: and federated are both given");
  recipe = federation(2);
  recipe.continual.emplace().tasks.resize(1);
  expect(recipe, "federated: does not go with continual.tasks");
  recipe = federation(2);
  recipe.moe.placement = "balanced";
  expect(recipe, "federated: does not go with moe.placement balanced");
  recipe = federation(2);
  recipe.federated->aggregator.lora = "svd";
  expect(recipe, "svd needs adapt.lora");
  recipe.adapt.emplace().lora.emplace();
  recipe.federated->aggregator.lora = "frozen_a";
  expect(recipe, "frozen_a needs adapt.lora.train_a: false");
  recipe.federated->aggregator.lora = "residual";
  recipe.adapt->lora->base = "nf4";
  expect(recipe, "residual changes the base, which adapt.lora.base nf4 does not allow");
  recipe.adapt->lora->base = "master";
  recipe.adapt->lora->train_a = false;
  expect(recipe, "residual is for factors that both change");
  recipe.adapt->lora->train_a = true;
  recipe.federated->secure_aggregation = SecureAggregationOptions{2};
  expect(recipe, "does not go with aggregator.lora residual, which needs each silo's factors");
  recipe = federation(2);
  recipe.federated->aggregator.type = "scaffold";
  expect(recipe, "scaffold corrects the gradients of plain SGD");
  recipe = federation(2);
  recipe.privacy.emplace();
  recipe.federated->aggregator.experts = "routed_tokens";
  expect(recipe, "federated.aggregator.experts: is routed_tokens");
  recipe = federation(2);
  recipe.federated->privacy.emplace();
  expect(recipe, "federated.privacy: needs aggregator.weights uniform");
  recipe = federation(3);
  recipe.federated->silos[1].name = "a/b";
  recipe.federated->silos[2].name = "s0";
  expect(recipe, "federated.silos[1].name: 'a/b' is no name");
  expect(recipe, "is the name of an earlier silo");
  recipe = federation(2);
  recipe.federated->clients_per_round = 3;
  expect(recipe, "is 3, and there are 2 silos");
  recipe = federation(2);
  recipe.federated->aggregator.private_names = {"("};
  expect(recipe, "federated.aggregator.private[0]");
}

/// Whose silos are hidden, by `where`.
Recipe hidden(const std::string& where) {
  Recipe recipe = federation(4);
  recipe.federated->aggregator.weights = "uniform";
  recipe.federated->privacy.emplace().where = where;
  return recipe;
}

TEST(CheckFederated, HidesSilosWhoseChangesHaveABound) {
  for (const char* where : {"coordinator", "silos"}) {
    Recipe recipe = hidden(where);
    recipe.privacy.emplace();  // of records, too
    for (const char* type : {"fedavg", "fedprox", "fedadam"}) {
      recipe.federated->aggregator.type = type;
      EXPECT_EQ(problems_of(recipe), "") << type;
    }
    for (const char* type : {"median", "krum", "norm_bound", "fednova", "scaffold"}) {
      recipe.federated->aggregator.type = type;
      expect(recipe, "federated.privacy: does not go with this aggregator");
    }
  }
  Recipe recipe = hidden("silos");
  recipe.federated->secure_aggregation = SecureAggregationOptions{.threshold = 3};
  EXPECT_EQ(problems_of(recipe), "");
  recipe.federated->privacy->where = "coordinator";
  expect(recipe, "federated.privacy.where: is coordinator, who must bound each silo's change");
  recipe = hidden("coordinator");
  recipe.federated->compression = std::string("int8");
  EXPECT_EQ(problems_of(recipe), "");  // the bound is of what is read
  recipe.federated->privacy->where = "silos";
  expect(recipe, "federated.compression: does not go with privacy.where silos");
}

TEST(CheckFederated, HidesNoSiloWithoutNoiseOrWithALargeDelta) {
  Recipe recipe = hidden("coordinator");
  recipe.federated->privacy->noise_multiplier = 0;
  expect(recipe, "federated.privacy.noise_multiplier: is 0");
  recipe.federated->privacy->allow_no_privacy = true;
  EXPECT_EQ(problems_of(recipe), "");
  recipe.federated->privacy->delta = 0.25;
  expect(recipe, "federated.privacy.delta: is 0.25; there are 4 silos");
  recipe = hidden("silos");
  recipe.federated->silos[1].valid = {{.path = "b.txt"}};
  expect(recipe, "federated.silos[1].valid: gives no valid_loss");
  recipe.federated->privacy->log_loss = true;
  EXPECT_EQ(problems_of(recipe), "");
}

TEST(FederatedKeys, AreReadAsTheContractHasThem) {
  const auto read = sample::good<FederatedOptions>(
      "silos: [{name: a, ranks: 2, train: [{path: /a.txt}], valid: [{path: /b.txt}]}]\n"
      "rounds: 3\n"
      "local_epochs: 0.5\n"
      "aggregator: {type: fedyogi, lora: residual, private: ['lm_head.*'], beta_2: 0.9, tau: 0.1}\n"
      "compression: {top_k: 0.1}\n"
      "secure_aggregation: {threshold: 2}\n"
      "privacy: {clip_norm: 2, noise_multiplier: 0.5, where: silos}\n"
      "deadline_s: 5\n");
  EXPECT_EQ(read.silos.at(0).ranks, 2);
  EXPECT_EQ(read.silos.at(0).valid.at(0).path, "/b.txt");
  EXPECT_EQ(read.local_epochs, 0.5);
  EXPECT_EQ(read.aggregator.private_names, (std::vector<std::string>{"lm_head.*"}));
  EXPECT_EQ(read.aggregator.tau, 0.1);
  EXPECT_EQ(std::get<TopKOptions>(read.compression).top_k, 0.1);
  EXPECT_EQ(std::get<SecureAggregationOptions>(read.secure_aggregation).threshold, 2);
  EXPECT_EQ(read.privacy->where, "silos");
  EXPECT_EQ(read.quorum, 0.5);
}

TEST(FederatedKeys, RefuseValuesThatMeanNothing) {
  const auto refused = [](const std::string& text) {
    return !sample::read<FederatedOptions>("silos: [{name: a, train: [{path: /a.txt}]}]\n" + text)
                .problems.empty();
  };
  EXPECT_FALSE(refused("compression: int8"));
  EXPECT_FALSE(refused("secure_aggregation: false"));
  EXPECT_TRUE(refused("compression: gzip"));
  EXPECT_TRUE(refused("compression: {top_k: 0}"));
  EXPECT_TRUE(refused("secure_aggregation: true"));
  EXPECT_TRUE(refused("secure_aggregation: {threshold: 1}"));
  EXPECT_TRUE(refused("aggregator: {type: average}"));
  EXPECT_TRUE(refused("aggregator: {trim: 0.5}"));
  EXPECT_TRUE(refused("aggregator: {f: -1}"));
  EXPECT_TRUE(refused("quorum: 1.5"));
  EXPECT_TRUE(refused("deadline_s: 0"));
  EXPECT_TRUE(refused("rounds: 0"));
  EXPECT_FALSE(refused("privacy: {budget: {epsilon: 3}, noise_seed: 1}"));
  EXPECT_TRUE(refused("privacy: {clip_norm: 0}"));
  EXPECT_TRUE(refused("privacy: {delta: 1}"));
  EXPECT_TRUE(refused("privacy: {where: nowhere}"));
}

}  // namespace
}  // namespace moesaic
