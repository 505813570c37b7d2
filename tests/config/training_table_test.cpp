#include "config/training_table.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/lora_targets.h"
#include "config/name_pattern.h"

namespace moesaic {
namespace {

arch::Options model(const Json& more) {
  Json config = {{"vocab_size", 31},
                 {"hidden_size", 16},
                 {"intermediate_size", 12},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"max_position_embeddings", 64}};
  config.update(more);
  return arch::require_options(config, "test");
}
arch::Options olmoe() {
  return model({{"model_type", "olmoe"}, {"num_experts", 4}, {"num_experts_per_tok", 2}});
}
arch::Options mixtral() { return model({{"model_type", "mixtral"}, {"num_local_experts", 4}}); }
arch::Options llama() { return model({{"model_type", "llama"}}); }
arch::Options qwen2_moe() {
  return model({{"model_type", "qwen2_moe"},
                {"num_experts", 4},
                {"moe_intermediate_size", 8},
                {"shared_expert_intermediate_size", 8}});
}

Recipe with_lora(LoraOptions lora) {
  Recipe recipe;
  recipe.adapt.emplace().lora = std::move(lora);
  return recipe;
}
LoraOptions rank(std::int64_t r) {
  LoraOptions lora;
  lora.r = r;
  return lora;
}

/// The part of the names after the layer of the weights that have a pair.
std::vector<std::string> adapted(const LoraOptions& lora, const arch::Options& arch) {
  std::vector<std::string> names;
  for (const arch::ParameterInfo& info : training_table(with_lora(lora), arch)) {
    const std::string end = ".lora_A.weight";
    if (info.name.starts_with("model.layers.1.") && info.name.ends_with(end))
      names.push_back(info.name.substr(15, info.name.size() - 15 - end.size()));
  }
  return names;
}

std::string refusal(const Recipe& recipe, const arch::Options& arch) {
  try {
    training_table(recipe, arch);
  } catch (const KeyError& error) {
    return error.what();
  }
  return "";
}

std::vector<std::string> trained(const Recipe& recipe, const arch::Options& arch) {
  std::vector<std::string> names;
  for (const arch::ParameterInfo& info : training_table(recipe, arch))
    if (info.trainable) names.push_back(info.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(TrainingTable, ChoosesAmongTheExpertsThatNobodyNames) {
  Recipe recipe;
  recipe.adapt.emplace().esft = EsftOptions{.share = 0.3};
  recipe.adapt->train = Names{"lm_head.weight", R"(.*layers\.0\..*experts\.up_proj\.weight)"};
  for (const arch::ParameterInfo& info : training_table(recipe, olmoe())) {
    const bool expert = info.scope == arch::Scope::kExpert;
    const bool named =
        info.name == "lm_head.weight" || info.name == "model.layers.0.mlp.experts.up_proj.weight";
    EXPECT_EQ(info.trainable, expert || named) << info.name;
    EXPECT_EQ(info.most_experts, expert && !named ? 2 : 0) << info.name;  // 0.3 of 4, rounded up
    if (expert && !named) {
      EXPECT_EQ(info.trainable_numel(), info.numel() / 2);
    }
  }
  recipe.adapt->train = Names{".*"};
  EXPECT_NE(refusal(recipe, olmoe()).find("nothing to choose"), std::string::npos);
  recipe.adapt->train.reset();
  EXPECT_NE(refusal(recipe, llama()).find("the model has none"), std::string::npos);
}

TEST(TrainingTable, PissaKeepsWhatItTookOut) {
  LoraOptions lora = rank(2);
  lora.init_lora_weights = "pissa";
  lora.use_dora = true;
  const std::string query = "model.layers.0.self_attn.q_proj.";
  Names names;
  for (const arch::ParameterInfo& info : training_table(with_lora(lora), llama())) {
    if (!info.adapter || !info.name.starts_with(query)) continue;
    names.push_back(info.name.substr(query.size()));
    EXPECT_EQ(info.trainable, info.name.find("_start") == std::string::npos) << info.name;
  }
  EXPECT_EQ(names, (Names{"lora_A_start.weight", "lora_B_start.weight", "lora_A.weight",
                          "lora_B.weight", "lora_magnitude_vector.weight"}));
}

TEST(TrainingTable, WithoutAdaptIsTheArchitectures) {
  EXPECT_EQ(training_table(Recipe{}, olmoe()).size(), arch::parameter_table(olmoe()).size());
}

TEST(TrainingTable, TrainsWhatIsNamedInFull) {
  Recipe recipe;
  recipe.adapt.emplace().train = {R"(.*\.self_attn\.q_proj\.weight)", "lm_head.weight"};
  EXPECT_EQ(trained(recipe, olmoe()),
            (Names{"model.layers.0.self_attn.q_proj.weight",
                   "model.layers.1.self_attn.q_proj.weight", "lm_head.weight"}));
  recipe.adapt->train = {"q_proj"};  // matched in full, not as a part
  EXPECT_EQ(refusal(recipe, olmoe()), "adapt.train: 'q_proj' matches the name of no parameter");
  recipe.adapt->train = {"(q_proj"};
  EXPECT_NE(refusal(recipe, olmoe()).find("is not a regular expression"), std::string::npos);
  recipe.adapt->train = Names{};
  EXPECT_NE(refusal(recipe, olmoe()).find("nothing would be trained"), std::string::npos);
  recipe.adapt->train = {R"(.*experts\.gate_proj\.weight)"};  // of Mixtral: w1
  EXPECT_EQ(trained(recipe, mixtral()).size(), 2U);
}

TEST(TrainingTable, PutsFactorsAfterTheirFrozenWeight) {
  LoraOptions lora = rank(4);
  lora.lora_plus_ratio = 16;
  const arch::ParameterTable table = training_table(with_lora(lora), olmoe());
  const auto find = [&table](const std::string& name) {
    return std::find_if(table.begin(), table.end(), [&](const auto& i) { return i.name == name; });
  };
  const auto w = find("model.layers.0.mlp.experts.down_proj.weight");
  ASSERT_NE(w, table.end());
  EXPECT_FALSE(w->trainable);
  const auto a = w + 1, b = w + 2;
  EXPECT_EQ(a->name, "model.layers.0.mlp.experts.down_proj.lora_A.weight");
  EXPECT_EQ(a->shape, (std::vector<std::int64_t>{4, 4, 12}));
  EXPECT_EQ(b->name, "model.layers.0.mlp.experts.down_proj.lora_B.weight");
  EXPECT_EQ(b->shape, (std::vector<std::int64_t>{4, 16, 4}));
  EXPECT_TRUE(a->trainable && a->adapter && a->scope == arch::Scope::kExpert);
  EXPECT_EQ(a->group, arch::Group::kExperts);
  EXPECT_EQ(a->learning_rate_ratio, 1);
  EXPECT_EQ(b->learning_rate_ratio, 16);
  EXPECT_TRUE(is_saved(with_lora(lora), *a) && !is_saved(with_lora(lora), *w));
  lora.train_a = false;
  const Recipe recipe = with_lora(lora);
  for (const arch::ParameterInfo& info : training_table(recipe, olmoe()))
    EXPECT_EQ(info.trainable, info.name.ends_with(".lora_B.weight")) << info.name;
}

TEST(TrainingTable, KeepsFrozenMatricesOfTheLayersAsTheBaseSays) {
  LoraOptions lora = rank(2);
  lora.base = "nf4";
  lora.modules_to_save = {"lm_head"};
  Recipe recipe = with_lora(lora);
  recipe.adapt->train = {R"(.*norm\.weight)"};
  for (const arch::Options& arch : {olmoe(), qwen2_moe(), llama()}) {
    for (const arch::ParameterInfo& info : training_table(recipe, arch)) {
      const bool proj = info.name.ends_with("_proj.weight");
      EXPECT_EQ(info.storage == arch::Storage::kNf4, proj) << info.name;
      EXPECT_TRUE(info.storage == arch::Storage::kMaster || !info.trainable) << info.name;
    }
  }
  const auto said = [&](const std::string& part) {
    const std::string text = refusal(recipe, olmoe());
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  recipe.adapt->train = {R"(.*\.q_proj\.weight)"};
  said("adapt.lora.base: is nf4, for frozen weights, and model.layers.0.self_attn.q_proj.weight");
  recipe.adapt->train.reset();
  recipe.adapt->lora->modules_to_save = {"experts.down_proj"};
  said("model.layers.0.mlp.experts.down_proj.weight is trained in full");
  recipe.adapt->lora->base = "master";
  EXPECT_EQ(refusal(recipe, olmoe()), "");
}

TEST(LoraTargets, AllLinearIsAllButHeadRouterAndGates) {
  const Names attention = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                           "self_attn.o_proj"};
  const auto with = [&attention](const Names& more) {
    Names names = attention;
    names.insert(names.end(), more.begin(), more.end());
    return names;
  };
  EXPECT_EQ(adapted(rank(2), llama()), with({"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}));
  EXPECT_EQ(adapted(rank(2), mixtral()),
            with({"block_sparse_moe.experts.w1", "block_sparse_moe.experts.w3",
                  "block_sparse_moe.experts.w2"}));
  EXPECT_EQ(adapted(rank(2), qwen2_moe()),
            with({"mlp.experts.gate_proj", "mlp.experts.up_proj", "mlp.experts.down_proj",
                  "mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj",
                  "mlp.shared_expert.down_proj"}));
}

TEST(LoraTargets, AreEndsOfPathsOrOneExpression) {
  LoraOptions lora = rank(2);
  lora.target_modules = Names{"gate_proj"};
  EXPECT_EQ(adapted(lora, qwen2_moe()),
            (Names{"mlp.experts.gate_proj", "mlp.shared_expert.gate_proj"}));
  lora.target_modules = Names{"experts.gate_proj"};
  EXPECT_EQ(adapted(lora, qwen2_moe()), Names{"mlp.experts.gate_proj"});
  EXPECT_EQ(adapted(lora, mixtral()), Names{"block_sparse_moe.experts.w1"});
  lora.target_modules = Names{"experts"};
  EXPECT_EQ(adapted(lora, qwen2_moe()),
            (Names{"mlp.experts.gate_proj", "mlp.experts.up_proj", "mlp.experts.down_proj"}));
  lora.target_modules = std::string(R"(.*\.(q_proj|up_proj))");
  EXPECT_EQ(adapted(lora, qwen2_moe()),
            (Names{"self_attn.q_proj", "mlp.experts.up_proj", "mlp.shared_expert.up_proj"}));
  lora.exclude_modules = Names{"shared_expert.up_proj"};
  EXPECT_EQ(adapted(lora, qwen2_moe()), (Names{"self_attn.q_proj", "mlp.experts.up_proj"}));
}

TEST(LoraTargets, RanksAndAlphasMayDiffer) {
  LoraOptions lora = rank(4);
  lora.rank_pattern = {{R"(layers\.1\..*v_proj)", 2}};
  lora.alpha_pattern = {{"v_proj", 10}};
  lora.target_modules = Names{"q_proj", "v_proj"};
  const auto targets = lora_targets(lora, llama(), arch::parameter_table(llama()));
  ASSERT_EQ(targets.size(), 4U);  // q and v of two layers
  EXPECT_EQ(targets[0].scale, 32.0 / 4);
  EXPECT_EQ(targets[1].r, 4);
  EXPECT_EQ(targets[1].scale, 10.0 / 4);
  EXPECT_EQ(targets[3].r, 2);
  EXPECT_EQ(targets[3].scale, 10.0 / 2);
  lora.rank_pattern = {{"v_proj", 3}, {R"(layers\.1\..*)", 2}};  // the first that matches counts
  EXPECT_EQ(lora_targets(lora, llama(), arch::parameter_table(llama()))[3].r, 3);
}

TEST(LoraTargets, TheRouterHasAKeyOfItsOwn) {
  LoraOptions lora = rank(2);
  lora.router = "lora";
  const Names names = adapted(lora, olmoe());
  EXPECT_NE(std::find(names.begin(), names.end(), "mlp.gate"), names.end());
  lora.router = "full";
  const Names in_full = trained(with_lora(lora), olmoe());
  EXPECT_NE(std::find(in_full.begin(), in_full.end(), "model.layers.0.mlp.gate.weight"),
            in_full.end());
}

TEST(LoraTargets, WhatDoesNotFitIsRefused) {
  const auto said = [](const LoraOptions& lora, const arch::Options& arch, const char* part) {
    const std::string text = refusal(with_lora(lora), arch);
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  LoraOptions lora = rank(2);
  lora.target_modules = Names{"q_proj", "query"};
  said(lora, olmoe(), "adapt.lora.target_modules: 'query' matches no linear map");
  lora.target_modules = Names{"lm_head"};
  said(lora, olmoe(), "may be in modules_to_save");
  lora.target_modules = std::string("all-linear");
  lora.exclude_modules = Names{"nothing"};
  said(lora, olmoe(), "adapt.lora.exclude_modules: 'nothing'");
  lora = rank(2);
  lora.rank_pattern = {{"query", 3}};
  said(lora, olmoe(), "adapt.lora.rank_pattern: 'query'");
  lora = rank(2);
  lora.modules_to_save = {"head"};
  said(lora, olmoe(), "adapt.lora.modules_to_save: 'head'");
  said(rank(13), olmoe(), "adapt.lora.r: is 13 for model.layers.0");
}

TEST(LoraTargets, RoutedExpertsAreNotLeftOutUnsaid) {
  LoraOptions lora = rank(2);
  lora.target_modules = Names{"q_proj", "shared_expert.up_proj"};
  EXPECT_NE(refusal(with_lora(lora), qwen2_moe()).find("leaves every routed expert untouched"),
            std::string::npos);
  Recipe in_full = with_lora(lora);
  in_full.adapt->train = Names{R"(.*\.experts\.down_proj\.weight)"};
  EXPECT_EQ(refusal(in_full, qwen2_moe()), "");
  lora.exclude_modules = Names{"experts"};
  EXPECT_EQ(refusal(with_lora(lora), qwen2_moe()), "");
  lora = rank(2);
  lora.target_modules = Names{"q_proj", "v_proj"};  // attention's alone, by name
  EXPECT_EQ(refusal(with_lora(lora), qwen2_moe()), "");
}

}  // namespace
}  // namespace moesaic
