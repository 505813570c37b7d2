// What the block privacy refuses, each with its reason, and what it sets by itself.
#include <gtest/gtest.h>

#include "config/recipe_reader.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

constexpr const char* kMoe =
    "name: small\n"
    "model: {config: {model_type: olmoe, vocab_size: 272, hidden_size: 16, num_attention_heads: "
    "2,\n"
    "                 num_hidden_layers: 2, intermediate_size: 8, num_experts: 4,\n"
    "                 num_experts_per_tok: 2}}\n"
    "data: {train: [{path: a.jsonl, format: jsonl}], packing: false, sequence_length: 16}\n"
    "train: {max_steps: 30}\n"
    "schedule: {warmup_steps: 0}\n"
    "privacy: {noise_multiplier: 1.0}\n";

constexpr const char* kImages =
    "name: images\n"
    "model: {config: {model_type: mlp, input_size: 4, hidden_sizes: [], num_labels: 10}}\n"
    "data: {train: [{path: a.idx, labels: b.idx, format: idx}]}\n"
    "train: {max_steps: 30}\n"
    "schedule: {warmup_steps: 0}\n"
    "privacy: {noise_multiplier: 1.0}\n";

class PrivacyKeys : public ::testing::Test {
 protected:
  LoadedRecipe loaded(const std::vector<std::string>& overrides) const {
    return load_recipe(folder_.file("r.yaml", kMoe), overrides);
  }
  /// Key and message of each problem.
  std::string problems(const std::vector<std::string>& overrides) const {
    std::string text;
    for (const Problem& problem : loaded(overrides).problems)
      text += (problem.warning ? "warning: " : "") + problem.key + ": " + problem.message + "\n";
    return text;
  }
  void refuses(const std::vector<std::string>& overrides, const std::string& part) const {
    EXPECT_TRUE(loaded(overrides).has_errors()) << part;
    says(overrides, part);
  }
  void says(const std::vector<std::string>& overrides, const std::string& part) const {
    const std::string text = problems(overrides);
    EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in:\n" << text;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(PrivacyKeys, SetsWhatAPrivateRunNeeds) {
  EXPECT_EQ(problems({}), "");
  const Recipe recipe = loaded({"privacy.budget={epsilon: 3, delta: 1.0e-7}"}).recipe;
  EXPECT_EQ(recipe.train.clip_norm, 0);
  EXPECT_EQ(recipe.moe.balance.type, "sequence");
  EXPECT_EQ(recipe.train.global_batch_size, 64);
  EXPECT_EQ(loaded({"privacy.expected_batch_size=0.5"}).recipe.train.global_batch_size, 4);
  EXPECT_FALSE(loaded({"train.micro_batch_size=5"}).has_errors());
  EXPECT_EQ(recipe.privacy->delta, 1e-7);
  EXPECT_EQ(recipe.privacy->ledger, recipe.run_dir + "/ledger.json");
  const std::vector<std::string> one = {"privacy.delta=1.0e-7", "privacy.budget={epsilon: 3}"};
  EXPECT_EQ(loaded(one).recipe.privacy->budget->delta, 1e-7);
  EXPECT_EQ(loaded({"train.clip_norm=2"}).recipe.train.clip_norm, 2);
  EXPECT_EQ(loaded({"moe.balance.type=none"}).recipe.moe.balance.type, "none");
}

TEST_F(PrivacyKeys, ASavedRecipeReadsBackAsTheSame) {
  const Recipe recipe = loaded({}).recipe;
  EXPECT_EQ(to_yaml(recipe_from_yaml(to_yaml(recipe), "saved")), to_yaml(recipe));
}

TEST_F(PrivacyKeys, RefusesWhatMixesUnits) {
  for (const char* type : {"switch", "gshard", "global", "transformers"})
    refuses({std::string("moe.balance.type=") + type}, "mixes all units of a batch");
  for (const char* type : {"bias", "bias+sequence"}) {
    refuses({std::string("moe.balance.type=") + type, "model.config.use_expert_bias=true"},
            "moves by exact counts");
  }
  refuses({"moe.capacity_factor=1.5"}, "pushes tokens of others out");
  refuses({"moe.gate_gradient=default_moe"}, "averages of the other units' experts");
}

TEST_F(PrivacyKeys, RefusesWhatIsSeenWithoutNoise) {
  refuses({"moe.placement=balanced", "parallel.ranks=2", "parallel.expert=2"},
          "where experts lie would show exact counts");
  refuses({"moe.diagnose_every=10"}, "exact gradients and loads");
  refuses({"log.profile_steps=[2]"}, "how many units and tokens each step has");
}

TEST_F(PrivacyKeys, AFileIsInTheDataOnce) {
  refuses({"data.train=[{path: a.jsonl, format: jsonl}, {path: a.jsonl, format: jsonl}]"},
          "/a.jsonl, as an earlier source does");
  EXPECT_EQ(
      problems({"data.train=[{path: a.jsonl, format: jsonl}, {path: b.jsonl, format: jsonl}]"}),
      "");
}

TEST_F(PrivacyKeys, ChosenExpertsNeedExactScores) {
  const std::string text = problems({"adapt={esft: {share: 0.5}}"});
  EXPECT_NE(text.find("adapt.esft: chooses experts by exact scores"), std::string::npos) << text;
}

TEST_F(PrivacyKeys, RefusesValidationOnTheTrainingData) {
  const std::string same = "data.valid=[{path: a.jsonl, format: jsonl}]";
  refuses({same, "eval.patience=3"}, "eval.patience: is above 0: data.valid has");
  refuses({same, "checkpoint.best=true"}, "checkpoint.best: is true: data.valid has");
  EXPECT_FALSE(loaded({same}).has_errors());
  says({same}, "warning: data.valid: gives no valid_loss");
  EXPECT_EQ(problems({"data.valid=[{path: b.jsonl, format: jsonl}]", "eval.patience=3"}), "");
  EXPECT_EQ(problems({same, "privacy.log_loss=true"}), "");
}

TEST_F(PrivacyKeys, RefusesUnitsThatSequencesDoNotKeepApart) {
  for (const char* unit : {"document", "user"})
    refuses({std::string("privacy.unit=") + unit, "data.packing=true"},
            "documents laid end to end share sequences");
  EXPECT_EQ(problems({"data.packing=true"}), "");
  EXPECT_EQ(problems({"data.packing=best_fit", "privacy.unit=user"}), "");
  refuses({"privacy.unit=user", "data.train=[{path: a.txt, format: text}]"}, "has no users");
  refuses({"data.train=[{path: a.jsonl, weight: 2}, {path: b.jsonl}]"},
          "each unit of the data is drawn with the same probability");
}

TEST_F(PrivacyKeys, RefusesBatchesThatAreNotDrawn) {
  refuses({"privacy.sampling=cyclic"}, "batches that are fixed or shuffled hide no unit by chance");
  refuses({"privacy.mechanism=banded_matrix"}, "sampling: cyclic");
  const std::string banded =
      "privacy={noise_multiplier: 1, sampling: cyclic, mechanism: "
      "banded_matrix, bands: 4, min_separation: ";
  EXPECT_EQ(problems({banded + "4}"}), "");
  refuses({banded + "3}"}, "privacy.bands: is 4, more than min_separation, 3");
  refuses({"privacy.max_batch_size=8"}, "below expected_batch_size");
}

TEST_F(PrivacyKeys, NoPrivacyMustBeMeant) {
  refuses({"privacy.clip_norm=0"}, "nothing would bound what one unit changes");
  refuses({"privacy.noise_multiplier=0"}, "no noise hides a unit");
  EXPECT_EQ(problems({"privacy.noise_multiplier=0", "privacy.clip_norm=0",
                      "privacy.allow_no_privacy=true"}),
            "");
  refuses({"privacy.target_epsilon=3"}, "are both given; keep one");
  refuses({"privacy.noise_multiplier=null"}, "noise_multiplier or target_epsilon is missing");
  says({"privacy={noise_multiplier: null, target_epsilon: 9, budget: {epsilon: 8}}"},
       "more than privacy.budget.epsilon, 8: the run will end before");
  refuses({"privacy.delta=1.0e-7", "privacy.budget={epsilon: 8, delta: 1.0e-6}"}, "they are one");
  refuses({"privacy.clipping=adaptive", "privacy.adaptive.noise=0.5"},
          "the count alone would cost more");
}

TEST_F(PrivacyKeys, ReplayedDataAreUnitsToo) {
  const auto replay = [](const std::string& source) {
    return "continual={method: none, replay: {share: 0.1, sources: [{path: " + source + "}]}}";
  };
  EXPECT_EQ(problems({replay("b.jsonl")}), "");
  refuses({replay("a.jsonl")}, "continual.replay.sources[0].path: has ");
  refuses({replay("b.jsonl, weight: 2")}, "continual.replay.sources[0].weight: is not 1");
  refuses({replay("b.txt, format: text"), "privacy.unit=user"},
          "continual.replay.sources[0].format: is text, which has no users");
}

TEST_F(PrivacyKeys, TasksAreOfOneLedger) {
  const auto tasks = [](const std::string& method, const std::string& valid,
                        const std::string& more = "") {
    return std::vector<std::string>{
        "data.train=[]", "train.max_steps=null",
        "continual={method: " + method + more +
            ", tasks: [{name: a, train: [{path: a.jsonl}], valid: [{path: " + valid +
            "}], max_steps: 40}, {name: b, train: [{path: b.jsonl}], valid: [{path: c.jsonl}], "
            "max_steps: 40}]}"};
  };
  for (const char* method : {"none", "l2", "si", "lwf"})
    EXPECT_EQ(problems(tasks(method, "v.jsonl")), "") << method;
  for (const char* method : {"ewc", "online_ewc", "mas"})
    refuses(tasks(method, "v.jsonl"), "it finds importances of the task's data, without noise");
  says(tasks("none", "b.jsonl"),
       "warning: continual.tasks[0].valid: gives no numbers in tasks.json");
  // What is a task's own is not replayed in it.
  const std::string old = ", replay: {share: 0.2, sources: [{path: a.jsonl}]}";
  EXPECT_EQ(problems(tasks("none", "v.jsonl", old)), "");
}

TEST_F(PrivacyKeys, AnImageIsAUnitOfKindSequence) {
  const auto told = [this](const std::vector<std::string>& overrides) {
    std::string text;
    for (const Problem& problem :
         load_recipe(folder_.file("images.yaml", kImages), overrides).problems)
      text += problem.key + ": " + problem.message + "\n";
    return text;
  };
  EXPECT_EQ(told({}), "");
  for (const char* unit : {"document", "user"}) {
    const std::string text = told({std::string("privacy.unit=") + unit});
    EXPECT_NE(text.find("an image is of no document or user"), std::string::npos) << text;
  }
  // An image is one unit, whatever sources have it.
  EXPECT_EQ(told({"data.train=[{path: a.idx, labels: b.idx, format: idx, classes: [0, 1]}, {path: "
                  "a.idx, labels: b.idx, format: idx, classes: [2, 3]}]"}),
            "");
}

TEST_F(PrivacyKeys, AreAskedOfTheDataOfSilos) {
  const auto silos = [](const std::string& train, const std::string& valid) {
    return "federated={rounds: 2, silos: [{name: a, train: [" + train +
           "]}, {name: b, train: "
           "[{path: b.jsonl}], valid: [{path: " +
           valid + "}]}]}";
  };
  const std::vector<std::string> none = {"data.train=[]", "train.max_steps=null"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), none.begin(), none.end());
    return more;
  };
  EXPECT_FALSE(loaded(with({silos("{path: a.jsonl}", "c.jsonl")})).has_errors());
  says(with({silos("{path: a.jsonl}", "a.jsonl")}), "warning: data.valid: gives no valid_loss");
  refuses(with({silos("{path: a.jsonl, weight: 2}", "c.jsonl")}),
          "federated.silos[0].train[0].weight: is not 1");
  refuses(with({silos("{path: a.txt, format: text}", "c.jsonl"), "privacy.unit=user"}),
          "federated.silos[0].train[0].format: is text, which has no users");
}

TEST_F(PrivacyKeys, SaysWhatHasNoEffect) {
  says({"train.global_batch_size=32"}, "train.global_batch_size: has no effect: units are drawn");
  says({"privacy.adaptive.rate=0.1"}, "privacy.adaptive.rate: has no effect");
  says({"privacy.bands=3"}, "privacy.bands: has no effect");
}

}  // namespace
}  // namespace moesaic
