#include "config/recipe_reader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "config/schema.h"
#include "core/error.h"
#include "core/fs.h"

namespace moesaic {
namespace {

constexpr const char* kSmall =
    "name: small\n"
    "model: {config: {model_type: olmoe, vocab_size: 272, hidden_size: 64, num_attention_heads: "
    "4,\n"
    "                 num_hidden_layers: 2, num_experts: 8, num_experts_per_tok: 2}}\n"
    "data:\n"
    "  train: [{path: a.txt}]\n"
    "train:\n"
    "  max_steps: 100\n";

class RecipeReader : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              format("moesaic-recipe-{}-{}", ::getpid(),
                     testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  LoadedRecipe load(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    return load_recipe(write("r.yaml", text), overrides);
  }
  // The problems, without the folder.
  std::vector<std::string> lines(const LoadedRecipe& loaded) const {
    std::vector<std::string> texts;
    for (const Problem& problem : loaded.problems) {
      std::string text = problem.text();
      if (text.rfind(folder_.string(), 0) == 0) text = text.substr(folder_.string().size() + 1);
      texts.push_back(text);
    }
    return texts;
  }
  std::vector<std::string> problems(const std::string& text,
                                    const std::vector<std::string>& overrides = {}) const {
    return lines(load(text, overrides));
  }
  // The only problem that the small recipe has with these overrides.
  std::string problem(const std::vector<std::string>& overrides) const {
    const std::vector<std::string> found = problems(kSmall, overrides);
    EXPECT_EQ(found.size(), 1U) << (found.empty() ? "" : found[1 % found.size()]);
    return found.size() == 1 ? found[0] : "";
  }

  std::filesystem::path folder_;
};

TEST_F(RecipeReader, ReadsASmallRecipeAndKeepsDefaults) {
  const LoadedRecipe loaded = load(kSmall);
  EXPECT_EQ(lines(loaded), std::vector<std::string>{});
  EXPECT_EQ(loaded.recipe.name, "small");
  EXPECT_EQ(loaded.recipe.train.max_steps, 100);
  EXPECT_FALSE(loaded.recipe.train.epochs.has_value());
  EXPECT_EQ(loaded.recipe.train.global_batch_size, 32);
  EXPECT_EQ(loaded.recipe.data.train.at(0).path, absolute_path("a.txt"));
  EXPECT_EQ(loaded.recipe.run_dir, absolute_path("runs/small"));
  EXPECT_EQ(architecture_of(loaded.recipe).num_experts, 8);
}

TEST_F(RecipeReader, ReportsEveryMistakeWithItsPlace) {
  const std::vector<std::string> found = problems(
      "name: small\n"
      "model: {config: {model_type: olmoe, hiden_size: 64, num_experts: 8, num_experts_per_tok: "
      "9}}\n"
      "data:\n"
      "  train: [{path: a.txt, formt: text}]\n"
      "  sequence_length: 1.5\n"
      "train:\n"
      "  max_steps: ten\n"
      "  precision: flaot32\n"
      "  precision: float64\n"
      "optimizer: {learning_rate: -1}\n"
      "colour: red\n");
  const std::vector<std::string> expected = {
      "r.yaml:2:37: model.config.hiden_size: unknown key for model_type olmoe (did you mean "
      "'hidden_size'?)",
      "r.yaml:2:69: model.config.num_experts_per_tok: is 9, more than the 8 experts (num_experts)",
      "r.yaml:4:25: data.train[0].formt: unknown key (did you mean 'format'?)",
      "r.yaml:5:20: data.sequence_length: expected an integer >= 1 and <= 1000000000, got '1.5'",
      "r.yaml:7:14: train.max_steps: expected an integer >= 1 and <= 1000000000000, got 'ten'",
      "r.yaml:8:14: train.precision: expected one of float64, float32, bfloat16, got 'flaot32' "
      "(did you mean 'float32'?)",
      "r.yaml:9:3: duplicate key 'precision'; the first one counts",
      "r.yaml:10:28: optimizer.learning_rate: expected a finite number > 0, got '-1'",
      "r.yaml:11:1: colour: unknown key"};
  EXPECT_EQ(found, expected);
}

TEST_F(RecipeReader, NamesTheSectionThatOwnsAMisplacedKey) {
  EXPECT_EQ(
      problem({"optimizer.warmup_steps=3"}),
      "command line: optimizer.warmup_steps: unknown key; the key is 'schedule.warmup_steps'");
  EXPECT_EQ(problem({"model.hidden_size=3"}),
            "command line: model.hidden_size: unknown key; the key is 'model.config.hidden_size'");
  EXPECT_EQ(problem({"train.max_stps=3"}),
            "command line: train.max_stps: unknown key (did you mean 'max_steps'?)");
  EXPECT_EQ(problem({"moe.top_k=2"}),
            "command line: moe.top_k: unknown key; the key is 'model.config.num_experts_per_tok'");
}

TEST_F(RecipeReader, ReadsWhereMetricsForPrometheusGo) {
  const auto read = [this](const std::string& value) {
    return load(kSmall, {"log.prometheus=" + value}).recipe.log.prometheus;
  };
  EXPECT_TRUE(std::holds_alternative<Off>(read("false")));
  EXPECT_EQ(std::get<std::string>(read("textfile")), "textfile");
  EXPECT_EQ(std::get<PrometheusServer>(read("{port: 9400}")).port, 9400);
  for (const char* wrong : {"true", "9400", "text", "{}", "{port: 65536}", "{port: -1}"})
    EXPECT_NE(problem({std::string("log.prometheus=") + wrong}).find("log.prometheus"),
              std::string::npos)
        << wrong;
}

TEST_F(RecipeReader, RefusesWaysToRouteThatDoNotGoTogether) {
  const auto refused = [this](std::vector<std::string> overrides, const std::string& word) {
    overrides.insert(overrides.begin(),
                     "model.config={model_type: olmoe, vocab_size: 257, hidden_size: 16, "
                     "num_attention_heads: 2, num_experts: 8, num_experts_per_tok: 2}");
    EXPECT_NE(problem(overrides).find(word), std::string::npos) << problem(overrides);
  };
  refused({"moe.balance.type=bias"}, "use_expert_bias");
  refused({"moe.gate_gradient=dense_mixer", "moe.capacity_factor=1.5"}, "must be 0");
  refused({"model.config.router_top_p=0.5", "moe.gate_gradient=default_moe"}, "router_top_p");
  refused({"model.config.zero_expert_num=2", "moe.diagnose_every=5"}, "zero_expert_num");
  refused({"moe.gate_gradient=sparse_mixer", "model.config.use_expert_bias=true"}, "no part in it");
  refused({"train.mtp_coefficient=0.3"}, "num_nextn_predict_layers");
  refused({"moe.drop=position"}, "has no effect");
  refused({"model.config.num_experts_per_tok=1", "model.config.norm_topk_prob=true"},
          "teaches the router nothing");
}

TEST_F(RecipeReader, NamesStragglersAboveTheOthersAloneAndNeedsReplicasToCompareThem) {
  EXPECT_EQ(problem({"parallel.straggler_ratio=0.9"}),
            "command line: parallel.straggler_ratio: 0.9 would name ranks that are no slower than "
            "the others; above 1, or 0 for none");
  EXPECT_EQ(problems(kSmall, {"parallel.straggler_ratio=0"}), problems(kSmall));
  EXPECT_EQ(problem({"parallel.check_replicas_every=10"}),
            "command line: warning: parallel.check_replicas_every: has no effect: one rank has no "
            "replicas");
  const std::vector<std::string> two = {"parallel.ranks=2", "parallel.check_replicas_every=10"};
  EXPECT_EQ(problems(kSmall, two), problems(kSmall));
}

TEST_F(RecipeReader, WarnsOfKeysForGenerationThatItSetsItself) {
  const std::string message = problem({"model.config.top_k=2"});
  EXPECT_NE(message.find("warning"), std::string::npos) << message;
  EXPECT_NE(message.find("num_experts_per_tok"), std::string::npos) << message;
  write("hub/config.json", R"({"model_type": "llama", "vocab_size": 257, "temperature": 0.7})");
  EXPECT_EQ(problems(kSmall, {"model.config=null", "model.from=" + (folder_ / "hub").string()}),
            std::vector<std::string>{});
}

TEST_F(RecipeReader, TakesAScaleOfTheRoutersLogitsBesideTheWeights) {
  const std::string scale = "model.config.router_logit_scale=rsqrt_hidden_size";
  EXPECT_TRUE(architecture_of(load(kSmall, {scale}).recipe).rsqrt_router_logits);
  EXPECT_EQ(problems(kSmall, {"model.config.router_logit_scale=1"}), std::vector<std::string>{});
  EXPECT_NE(problem({"model.config.router_logit_scale=0.5"}).find("rsqrt_hidden_size"),
            std::string::npos);
  write("run/config.json", arch::to_config(architecture_of(load(kSmall).recipe)).dump());
  const std::string from = "model.from=" + (folder_ / "run").string();
  const LoadedRecipe loaded = load(kSmall, {from, scale});
  EXPECT_EQ(lines(loaded), std::vector<std::string>{});
  EXPECT_TRUE(architecture_of(loaded.recipe).rsqrt_router_logits);
}

TEST_F(RecipeReader, RequiresWhatARunNeeds) {
  const std::vector<std::string> expected = {"r.yaml:1:1: data.train: is missing",
                                             "r.yaml:1:1: name: is missing",
                                             "r.yaml:1:1: model: config or from is missing",
                                             "r.yaml:1:1: train: max_steps or epochs is missing"};
  std::vector<std::string> found = problems("seed: 1\n");
  std::sort(found.begin(), found.end());
  std::vector<std::string> sorted = expected;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(found, sorted);
  EXPECT_EQ(problems("").size(), 1U);
  EXPECT_EQ(problems("- a\n").size(), 1U);
  EXPECT_NE(problem({"name="}).find("name"), std::string::npos);
}

TEST_F(RecipeReader, TakesMaxStepsOrEpochsButNotBoth) {
  EXPECT_NE(problem({"train.epochs=1"}).find("keep one"), std::string::npos);
  EXPECT_NE(problem({"train.max_steps=null", "train.epochs=1e300"}).find("train.epochs: expected"),
            std::string::npos);
  const LoadedRecipe swapped = load(kSmall, {"train.max_steps=null", "train.epochs=1.5"});
  EXPECT_EQ(lines(swapped), std::vector<std::string>{});
  EXPECT_FALSE(swapped.recipe.train.max_steps.has_value());
  EXPECT_EQ(swapped.recipe.train.epochs, 1.5);
}

TEST_F(RecipeReader, LaysOverridesOverTheFile) {
  const LoadedRecipe loaded =
      load(kSmall, {"train.max_steps=200", "data.train=[{path: b=c.txt, weight: 2}, {path: d}]",
                    "model.config.num_experts=4", "optimizer={type: sgd, momentum: 0.9}",
                    "parallel.ranks=2"});
  EXPECT_EQ(lines(loaded), std::vector<std::string>{});
  EXPECT_EQ(loaded.recipe.train.max_steps, 200);
  ASSERT_EQ(loaded.recipe.data.train.size(), 2U);
  EXPECT_EQ(loaded.recipe.data.train[0].path, absolute_path("b=c.txt"));
  EXPECT_EQ(loaded.recipe.optimizer.momentum, 0.9);
  EXPECT_EQ(loaded.recipe.model.config.at("num_experts"), 4);
  EXPECT_EQ(loaded.recipe.model.config.at("hidden_size"), 64);
  EXPECT_EQ(loaded.provenance("train.max_steps"), "command line");
  EXPECT_EQ(loaded.provenance("model.config.num_experts"), "command line");
  EXPECT_EQ(loaded.provenance("model.config.hidden_size"), (folder_ / "r.yaml:2:54").string());
  EXPECT_EQ(loaded.provenance("train.clip_norm"), "default");
}

TEST_F(RecipeReader, RefusesBrokenOverrides) {
  EXPECT_EQ(problem({"train.max_steps"}),
            "command line: expected KEY=VALUE, got 'train.max_steps'");
  EXPECT_NE(problem({"train..max_steps=1"}).find("is not the name of a key"), std::string::npos);
  EXPECT_NE(problem({"log.every_steps=[1"}).find("command line: log.every_steps: invalid YAML"),
            std::string::npos);
  EXPECT_NE(problem({"data.train.0.path=x"}).find("expected a list"), std::string::npos);
  EXPECT_NE(problem({"log=5"}).find("expected a mapping"), std::string::npos);
  EXPECT_NE(problem({"extends=other.yaml"}).find("unknown key"), std::string::npos);
}

TEST_F(RecipeReader, ExtendsAnotherRecipeOnce) {
  write("base/base.yaml",
        std::string(kSmall) + "  clip_norm: 0.5\noptimizer: {learning_rate: 1.0e-2}\n");
  const LoadedRecipe loaded =
      load("extends: base/base.yaml\nname: child\ntrain: {max_steps: 70}\n");
  EXPECT_EQ(lines(loaded), std::vector<std::string>{});
  EXPECT_EQ(loaded.recipe.name, "child");
  EXPECT_EQ(loaded.recipe.train.max_steps, 70);
  EXPECT_EQ(loaded.recipe.train.clip_norm, 0.5);
  EXPECT_EQ(loaded.provenance("train.clip_norm"), (folder_ / "base/base.yaml:8:3").string());
  EXPECT_EQ(loaded.provenance("train.max_steps"), (folder_ / "r.yaml:3:9").string());

  write("base/middle.yaml", "extends: base.yaml\n");
  const std::vector<std::string> twice = problems("extends: base/middle.yaml\nname: x\n");
  ASSERT_FALSE(twice.empty());
  EXPECT_EQ(twice[0].substr(0, 34), "base/middle.yaml:1:10: extends: a ");
  EXPECT_NE(
      format("{}", join(problems("extends: none.yaml\n"), "\n")).find("r.yaml:1:10: extends: "),
      std::string::npos);
}

TEST_F(RecipeReader, ChecksSizesAgainstEachOther) {
  EXPECT_NE(
      problem({"train.micro_batch_size=5"}).find("32 is not a multiple of micro_batch_size 5"),
      std::string::npos);
  EXPECT_EQ(problem({"parallel.ranks=6", "parallel.expert=4"}),
            "command line: parallel.expert: 4 does not divide 6 ranks; sizes that fit 6 ranks and "
            "8 experts: 1, 2");
  EXPECT_NE(problem({"parallel.ranks=3", "parallel.expert=3"}).find("3 does not divide 8 experts"),
            std::string::npos);
  EXPECT_NE(problem({"model.config.vocab_size=256"}).find("the byte tokenizer needs 257"),
            std::string::npos);
  EXPECT_EQ(
      problems(kSmall, {"model.config.vocab_size=256", "data.train=[{path: t, format: tokens}]"}),
      std::vector<std::string>{});
  // Without a format the file says that no tokenizer is needed.
  const std::string ids = "data.train=[{path: " + write("ids.txt", "{\"ids\": [1, 2]}\n") + "}]";
  EXPECT_EQ(problems(kSmall, {"model.config.vocab_size=256", ids}), std::vector<std::string>{});
  EXPECT_NE(problem({"data.sequence_length=9000"}).find("warning"), std::string::npos);
}

TEST_F(RecipeReader, ChecksTheLayoutForTheSizeOfTheJob) {
  const std::string path = write("r.yaml", kSmall);
  EXPECT_FALSE(load_recipe(path, {"parallel.expert=4"}, 4).has_errors());
  EXPECT_EQ(load_recipe(path, {}, 4).recipe.parallel.ranks, 4);
  EXPECT_TRUE(load_recipe(path, {"parallel.expert=4"}, 2).has_errors());
}

TEST_F(RecipeReader, WarnsOfSettingsWithoutEffect) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"optimizer.momentum=0.9", "optimizer.momentum"},
      {"eval.every_steps=5", "eval.every_steps"},
      {"schedule={type: constant, min_ratio: 0.5}", "schedule.min_ratio"},
      {"optimizer={type: sgd, betas: [0.9, 0.99]}", "optimizer.betas"},
      {"moe.balance={type: none, coefficient: 0.5}", "moe.balance.coefficient"},
      {"data.train=[{path: a, weight: 3}]", "data.train"},
      {"schedule.warmup_steps=100", "schedule.warmup_steps"}};
  for (const auto& [setting, key] : cases) {
    const LoadedRecipe loaded = load(kSmall, {"schedule.warmup_steps=2", setting});
    EXPECT_FALSE(loaded.has_errors()) << setting;
    ASSERT_EQ(loaded.problems.size(), 1U) << setting;
    EXPECT_EQ(loaded.problems[0].key, key);
    EXPECT_TRUE(loaded.problems[0].warning);
  }
  const LoadedRecipe dense = load(
      "name: d\nmodel: {config: {model_type: llama}}\ndata: {train: [{path: a}]}\ntrain: "
      "{max_steps: 100}\n"
      "moe: {router_z_coefficient: 0.5}\n");
  ASSERT_EQ(dense.problems.size(), 1U);
  EXPECT_EQ(dense.problems[0].key, "moe.router_z_coefficient");
}

TEST_F(RecipeReader, TakesTheArchitectureOfTheWeights) {
  const arch::Options options = architecture_of(load(kSmall).recipe);
  write("run/checkpoints/latest/config.json", arch::to_config(options).dump());
  const std::string from = "model.from=" + (folder_ / "run").string();
  const LoadedRecipe loaded = load(kSmall, {"model.config=null", from});
  EXPECT_EQ(lines(loaded), std::vector<std::string>{});
  EXPECT_EQ(architecture_of(loaded.recipe).hidden_size, 64);
  EXPECT_EQ(problems(kSmall, {from}), std::vector<std::string>{});
  EXPECT_NE(problem({from, "model.config.num_hidden_layers=3"}).find("differs"), std::string::npos);
  EXPECT_NE(problem({"model.from=" + folder_.string()}).find("no config.json"), std::string::npos);
  write("list/config.json", "[]");
  EXPECT_NE(problem({"model.from=" + (folder_ / "list").string()}).find("no JSON object"),
            std::string::npos);
  write("large/config.json", "{}" + std::string(4U << 20, ' '));
  EXPECT_NE(problem({"model.from=" + (folder_ / "large").string()}).find("at most"),
            std::string::npos);
}

TEST_F(RecipeReader, ReadsASavedRecipeWhoseWeightsAreGone) {
  Recipe recipe = load(kSmall).recipe;
  recipe.model.from = (folder_ / "gone").string();
  EXPECT_EQ(recipe_from_yaml(to_yaml(recipe), "saved").model.from, recipe.model.from);
}

TEST_F(RecipeReader, WritesACompleteRecipeThatReadsBackTheSame) {
  const Recipe recipe =
      load(kSmall, {"name=\"true\"", "train.max_steps=null", "train.epochs=0.3",
                    "seed=18446744073709551615",
                    "model.config.rope_parameters={rope_type: default, rope_theta: 500.0}",
                    "data.valid=[{path: \"strange: name\", format: jsonl}]"})
          .recipe;
  const std::string text = to_yaml(recipe);
  const Recipe again = recipe_from_yaml(text, "recipe.yaml");
  EXPECT_EQ(to_yaml(again), text);
  EXPECT_EQ(again.name, "true");
  EXPECT_EQ(again.seed, 18446744073709551615U);
  EXPECT_EQ(again.data.valid.at(0).path, absolute_path("strange: name"));
  const std::set<std::string> optional = {"train.max_steps",    "model.from",
                                          "data.cache",         "data.too_long",
                                          "data.chat_template", "optimizer.groups"};
  for (const Key& key : recipe_keys()) {
    const bool absent = optional.contains(key.path) || key.path.starts_with("adapt") ||
                        key.path.starts_with("continual") ||
                        key.path.starts_with("privacy") || key.path.starts_with("federated");
    EXPECT_EQ(key.write(again).has_value(), !absent) << key.path;
  }
}

TEST_F(RecipeReader, ThrowsEveryMistakeAtOnce) {
  try {
    require_recipe(write("r.yaml", kSmall), {"train.max_stps=3", "seed=-1"});
    FAIL() << "did not throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    EXPECT_NE(std::string(error.what()).find("train.max_stps"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("\ncommand line: seed: expected an integer"),
              std::string::npos);
  }
  EXPECT_THROW(load_recipe((folder_ / "none.yaml").string()), Error);
}

TEST_F(RecipeReader, RefusesNamesThatAreNoFolder) {
  for (const char* name : {"../up", "a/b", ".hidden", "-x"}) {
    EXPECT_NE(problem({std::string("name=") + name}).find("cannot name a folder"),
              std::string::npos)
        << name;
  }
}

TEST_F(RecipeReader, StaysBoundedOnHostileRecipes) {
  std::string keys = kSmall;
  for (int i = 0; i < 20000; ++i) keys += format("key{}: 1\n", i);
  EXPECT_EQ(problems(keys).size(), ProblemList::kMost + 1);
  std::string wide = "name: x\nmodel:\n  config:\n    model_type: olmoe\n";
  for (int i = 0; i < 20000; ++i) wide += format("    key{}: 1\n", i);
  EXPECT_LE(problems(wide).size(), 10U);
  const std::vector<std::string> longest = problems(std::string(500000, 'k') + ": 1\n");
  for (const std::string& line : longest) EXPECT_LT(line.size(), 300U);
}

}  // namespace
}  // namespace moesaic
