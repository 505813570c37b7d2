#include "arch/parameter_table.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace moesaic::arch {
namespace {

Options read(const Json& config, std::vector<Problem>* found = nullptr) {
  std::vector<Problem> problems;
  const Options options = read_options(config, problems);
  if (found != nullptr) *found = problems;
  return options;
}

std::vector<Problem> problems_of(const Json& config) {
  std::vector<Problem> problems;
  read(config, &problems);
  return problems;
}

// The message of the only problem, which must name `key`.
std::string only_problem(const Json& config, const std::string& key) {
  const std::vector<Problem> problems = problems_of(config);
  EXPECT_EQ(problems.size(), 1U);
  if (problems.size() != 1) return "";
  EXPECT_EQ(problems[0].key, key);
  EXPECT_FALSE(problems[0].warning);
  return problems[0].message;
}

Json tiny_olmoe() {
  return {{"model_type", "olmoe"},    {"vocab_size", 10},       {"hidden_size", 8},
          {"intermediate_size", 6},   {"num_hidden_layers", 1}, {"num_attention_heads", 4},
          {"num_key_value_heads", 2}, {"num_experts", 4},       {"num_experts_per_tok", 2}};
}

Json with(Json config, const std::string& key, const Json& value) {
  config[key] = value;
  return config;
}

TEST(ReadOptions, TakesTheDefaultsOfTheFamilysConfigurationClass) {
  const Options olmoe = read({{"model_type", "olmoe"}});
  EXPECT_EQ(olmoe.vocab_size, 50304);
  EXPECT_EQ(olmoe.num_experts, 64);
  EXPECT_EQ(olmoe.num_experts_per_tok, 8);
  EXPECT_EQ(olmoe.num_key_value_heads, 16);
  EXPECT_EQ(olmoe.head_dim, 128);
  EXPECT_EQ(olmoe.rms_norm_eps, 1e-5);
  EXPECT_EQ(olmoe.rope.theta, 10000.0);
  EXPECT_EQ(olmoe.qk_norm, QkNorm::kAllHeads);
  EXPECT_FALSE(olmoe.norm_topk_prob);
  const Options llama = read({{"model_type", "llama"}});
  EXPECT_EQ(llama.vocab_size, 32000);
  EXPECT_EQ(llama.intermediate_size, 11008);
  EXPECT_EQ(llama.rms_norm_eps, 1e-6);
  EXPECT_FALSE(llama.is_moe());
  EXPECT_EQ(llama.qk_norm, QkNorm::kNone);
}

TEST(ReadOptions, AcceptsAConfigurationFileAsPublished) {
  const Json published = {{"architectures", {"OlmoeForCausalLM"}},
                          {"attention_bias", false},
                          {"attention_dropout", 0.0},
                          {"clip_qkv", nullptr},
                          {"eos_token_id", 50279},
                          {"hidden_act", "silu"},
                          {"hidden_size", 2048},
                          {"initializer_range", 0.02},
                          {"intermediate_size", 1024},
                          {"max_position_embeddings", 4096},
                          {"model_type", "olmoe"},
                          {"norm_topk_prob", false},
                          {"num_attention_heads", 16},
                          {"num_experts", 64},
                          {"num_experts_per_tok", 8},
                          {"num_hidden_layers", 16},
                          {"num_key_value_heads", 16},
                          {"output_router_logits", false},
                          {"pad_token_id", 1},
                          {"rms_norm_eps", 1e-5},
                          {"rope_scaling", nullptr},
                          {"rope_theta", 10000.0},
                          {"router_aux_loss_coef", 0.01},
                          {"tie_word_embeddings", false},
                          {"torch_dtype", "bfloat16"},
                          {"transformers_version", "4.43.0"},
                          {"use_cache", true},
                          {"vocab_size", 50304}};
  EXPECT_TRUE(problems_of(published).empty());
}

TEST(ReadOptions, NamesAnUnknownKeyAndTheNearestKnownOne) {
  const std::string message = only_problem(with(tiny_olmoe(), "hiden_size", 8), "hiden_size");
  EXPECT_NE(message.find("unknown key"), std::string::npos);
  EXPECT_NE(message.find("'hidden_size'"), std::string::npos);
}

TEST(ReadOptions, RefusesUnsupportedMathematicsWithItsReason) {
  EXPECT_NE(only_problem(with(tiny_olmoe(), "hidden_act", "gelu"), "hidden_act").find("only silu"),
            std::string::npos);
  only_problem(with(tiny_olmoe(), "attention_dropout", 0.1), "attention_dropout");
  only_problem(with(tiny_olmoe(), "sliding_window", 128), "sliding_window");
  only_problem(with(tiny_olmoe(), "mlp_bias", true), "mlp_bias");
  only_problem(with(tiny_olmoe(), "head_dim", 4), "head_dim");
  const Json longrope = {{"type", "longrope"}};
  only_problem(with(tiny_olmoe(), "rope_scaling", longrope), "rope_scaling.type");
  const Json linear = {{"type", "linear"}};
  only_problem(with(tiny_olmoe(), "rope_scaling", linear), "rope_scaling.factor");
  const Json extra = {{"type", "linear"}, {"factor", 2.0}, {"beta_fast", 3}};
  only_problem(with(tiny_olmoe(), "rope_scaling", extra), "rope_scaling.beta_fast");
}

TEST(ReadOptions, ReadsBothSpellingsOfTheRotarySettings) {
  EXPECT_EQ(read(with(tiny_olmoe(), "rope_theta", 5000)).rope.theta, 5000);
  const Json block = {{"rope_type", "default"}, {"rope_theta", 7000.0}};
  EXPECT_EQ(read(with(tiny_olmoe(), "rope_parameters", block)).rope.theta, 7000);
  Json both = with(tiny_olmoe(), "rope_parameters", block);
  EXPECT_TRUE(problems_of(with(both, "rope_theta", 7000.0)).empty());
  only_problem(with(both, "rope_theta", 5000.0), "rope_theta");
  EXPECT_TRUE(problems_of(with(tiny_olmoe(), "rope_scaling", nullptr)).empty());
}

TEST(ReadOptions, ReportsEveryMistakeAtOnce) {
  Json config = tiny_olmoe();
  config["vocab_size"] = 0;
  config["num_experts_per_tok"] = 5;
  config["num_key_value_heads"] = 3;
  config["rms_norm_eps"] = "small";
  config["colour"] = 1;
  EXPECT_EQ(problems_of(config).size(), 5U);
}

TEST(ReadOptions, RefusesSizesThatWouldOverflow) {
  Json config = tiny_olmoe();
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size"}) config[key] = 1 << 24;
  config["num_experts"] = 65536;
  config["num_hidden_layers"] = 4096;
  const std::string message = only_problem(config, "");
  EXPECT_NE(message.find("parameters"), std::string::npos);
  only_problem(with(tiny_olmoe(), "vocab_size", std::uint64_t{1} << 63), "vocab_size");
  only_problem(with(tiny_olmoe(), "vocab_size", 1e300), "vocab_size");
  only_problem(with(tiny_olmoe(), "num_hidden_layers", -1), "num_hidden_layers");
}

TEST(ReadOptions, RefusesWhatIsNoConfiguration) {
  EXPECT_EQ(problems_of(Json::array()).size(), 1U);
  only_problem(Json::object(), "model_type");
  EXPECT_NE(only_problem({{"model_type", "olmo"}}, "model_type").find("'olmoe'"),
            std::string::npos);
  only_problem({{"model_type", 3}}, "model_type");
}

TEST(ReadOptions, WarnsOfASettingWithoutEffect) {
  const std::vector<Problem> problems =
      problems_of(with(tiny_olmoe(), "router_aux_loss_coef", 0.5));
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_TRUE(problems[0].warning);
}

TEST(RequireOptions, NamesThePlaceAndThrowsTheRecipeKind) {
  try {
    require_options({{"model_type", "olmoe"}, {"colour", 1}, {"hidden_act", "relu"}},
                    "config.json");
    FAIL() << "did not throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    EXPECT_NE(std::string(error.what()).find("config.json: colour"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("config.json: hidden_act"), std::string::npos);
  }
}

TEST(ToConfig, ReadsBackAsTheSameOptions) {
  for (Json config : {with(with(tiny_olmoe(), "clip_qkv", 8.0), "rope_theta", 500.0),
                      Json{{"model_type", "llama"}, {"mlp_bias", true}, {"head_dim", 64}}}) {
    const Json written = to_config(read(config));
    EXPECT_TRUE(problems_of(written).empty()) << written.dump();
    EXPECT_EQ(to_config(read(written)), written);
    for (const auto& [key, value] : config.items()) EXPECT_EQ(written.at(key), value) << key;
  }
}

TEST(ToConfig, ReadsBackForEveryFamilyAndRotaryVariant) {
  const std::vector<Json> ropes = {{{"rope_type", "linear"}, {"factor", 2.0}},
                                   {{"rope_type", "dynamic"}, {"factor", 2.0}},
                                   {{"rope_type", "llama3"},
                                    {"factor", 8.0},
                                    {"low_freq_factor", 1.0},
                                    {"high_freq_factor", 4.0},
                                    {"original_max_position_embeddings", 64}},
                                   {{"rope_type", "yarn"},
                                    {"factor", 4.0},
                                    {"original_max_position_embeddings", 64},
                                    {"mscale", 0.7},
                                    {"mscale_all_dim", 0.7},
                                    {"truncate", false}}};
  for (const std::string& type : model_types()) {
    if (type == "mlp") continue;  // has no positions; see mlp_test.cpp
    for (const Json& rope : ropes) {
      Json config = {{"model_type", type}, {"rope_parameters", rope}};
      if (type == "deepseek_v2") config["num_experts_per_tok"] = 6;
      const Options options = read(config);
      EXPECT_EQ(options.rope.type, rope.at("rope_type").get<std::string>());
      const Json written = to_config(options);
      EXPECT_TRUE(problems_of(written).empty()) << written.dump();
      EXPECT_EQ(read(written).rope, options.rope);
      EXPECT_EQ(to_config(read(written)), written);
    }
  }
}

TEST(ReadOptions, ReadsThePublishedConfigurationOfDeepSeekV3) {
  Json published = {{"model_type", "deepseek_v3"},
                    {"aux_loss_alpha", 0.001},
                    {"auto_map", Json::object()},
                    {"ep_size", 1},
                    {"moe_layer_freq", 1},
                    {"num_nextn_predict_layers", 1},
                    {"rope_scaling",
                     {{"beta_fast", 32},
                      {"beta_slow", 1},
                      {"factor", 40},
                      {"mscale", 1.0},
                      {"mscale_all_dim", 1.0},
                      {"original_max_position_embeddings", 4096},
                      {"type", "yarn"}}},
                    {"max_position_embeddings", 163840},
                    {"rope_theta", 10000},
                    {"scoring_func", "sigmoid"},
                    {"seq_aux", true},
                    {"topk_method", "noaux_tc"},
                    {"torch_dtype", "bfloat16"}};
  const Options o = read(published);
  EXPECT_EQ(o.rope.type, "yarn");
  EXPECT_EQ(o.query_head_dim(), 192);
  EXPECT_EQ(o.num_moe_layers(), 58);
  EXPECT_EQ(o.num_nextn_predict_layers, 1);
  EXPECT_EQ(o.num_routers(), 59);
  EXPECT_TRUE(problems_of(published).empty());
  published["scoring_func"] = "softmax";
  EXPECT_EQ(problems_of(published).size(), 1U);
  published["scoring_func"] = "sigmoid";
  published["n_group"] = 3;
  EXPECT_EQ(problems_of(published).size(), 1U);
}

TEST(ReadOptions, CountsDeepSeeksLayersAndSharedExpertsInWholeNumbers) {
  const Json config = {{"model_type", "deepseek_v3"}};
  EXPECT_EQ(read(config).shared_intermediate_size, 2048);
  EXPECT_EQ(read(with(config, "n_shared_experts", 3)).shared_intermediate_size, 3 * 2048);
  EXPECT_EQ(read(with(config, "first_k_dense_replace", 0)).num_moe_layers(), 61);
  for (const char* key : {"first_k_dense_replace", "num_nextn_predict_layers"}) {
    only_problem(with(config, key, 1.5), key);
    only_problem(with(config, key, -1), key);
    only_problem(with(config, key, ~std::uint64_t{0}), key);
  }
  const Json v2 = {{"model_type", "deepseek_v2"}, {"num_experts_per_tok", 2}};
  EXPECT_EQ(read(v2).shared_intermediate_size, 2 * 1407);
}

TEST(ReadOptions, KeepsALayerThatIsNamedTwiceOnce) {
  const Json config = {{"model_type", "qwen2_moe"}, {"mlp_only_layers", {5, 2, 5, 5, 2}}};
  EXPECT_EQ(read(config).mlp_only_layers, (std::vector<std::int64_t>{2, 5}));
}

TEST(Options, KnowWhichLayersHaveExperts) {
  const Options o = read({{"model_type", "qwen3_moe"},
                          {"num_hidden_layers", 6},
                          {"decoder_sparse_step", 2},
                          {"mlp_only_layers", {3}}});
  const std::vector<bool> expected = {false, true, false, false, false, true};
  for (std::size_t layer = 0; layer < expected.size(); ++layer)
    EXPECT_EQ(o.is_moe_layer(static_cast<std::int64_t>(layer)), expected[layer]) << layer;
  EXPECT_EQ(o.num_moe_layers(), 2);
}

TEST(ParameterTable, HoldsTheHubsNamesAndShapesOfOlmoe) {
  std::vector<std::string> lines;
  for (const ParameterInfo& info : parameter_table(read(tiny_olmoe()))) {
    lines.push_back(
        format("{} {}{}", info.name, join(info.shape, "x"), info.decay ? "" : " nodecay"));
  }
  const std::vector<std::string> expected = {
      "model.embed_tokens.weight 10x8",
      "model.layers.0.input_layernorm.weight 8 nodecay",
      "model.layers.0.self_attn.q_proj.weight 8x8",
      "model.layers.0.self_attn.k_proj.weight 4x8",
      "model.layers.0.self_attn.v_proj.weight 4x8",
      "model.layers.0.self_attn.o_proj.weight 8x8",
      "model.layers.0.self_attn.q_norm.weight 8 nodecay",
      "model.layers.0.self_attn.k_norm.weight 4 nodecay",
      "model.layers.0.post_attention_layernorm.weight 8 nodecay",
      "model.layers.0.mlp.gate.weight 4x8",
      "model.layers.0.mlp.experts.gate_proj.weight 4x6x8",
      "model.layers.0.mlp.experts.up_proj.weight 4x6x8",
      "model.layers.0.mlp.experts.down_proj.weight 4x8x6",
      "model.norm.weight 8 nodecay",
      "lm_head.weight 10x8"};
  EXPECT_EQ(lines, expected);
}

TEST(ParameterTable, HoldsBiasesOfLlamaAndNoTiedHead) {
  Json config = {{"model_type", "llama"},  {"vocab_size", 10},       {"hidden_size", 8},
                 {"intermediate_size", 6}, {"num_hidden_layers", 2}, {"num_attention_heads", 2},
                 {"attention_bias", true}, {"mlp_bias", true},       {"tie_word_embeddings", true}};
  const std::vector<ParameterInfo> table = parameter_table(read(config));
  EXPECT_EQ(table.size(), 2U + 2U * (2U + 8U + 6U));
  const auto find = [&](const std::string& name) {
    return std::find_if(table.begin(), table.end(),
                        [&](const auto& info) { return info.name == name; });
  };
  EXPECT_EQ(find("lm_head.weight"), table.end());
  const auto bias = find("model.layers.1.mlp.gate_proj.bias");
  ASSERT_NE(bias, table.end());
  EXPECT_EQ(bias->shape, std::vector<std::int64_t>{6});
  EXPECT_EQ(bias->init, Init::kZeros);
  EXPECT_FALSE(bias->decay);
}

TEST(ParameterTable, MarksExpertsAndCountsTheirActiveFlops) {
  for (const ParameterInfo& info : parameter_table(read(tiny_olmoe()))) {
    const bool expert = info.name.find(".experts.") != std::string::npos;
    EXPECT_EQ(info.scope == Scope::kExpert, expert) << info.name;
    if (expert) {
      EXPECT_EQ(info.flops_per_token, 2.0 * 2 * 6 * 8) << info.name;
    }
  }
}

TEST(ConfigKeys, ListsWhatTheFamilyReads) {
  const std::vector<std::string> keys = config_keys("olmoe");
  EXPECT_NE(std::find(keys.begin(), keys.end(), "num_experts"), keys.end());
  EXPECT_TRUE(config_keys("unheard").empty());
}

}  // namespace
}  // namespace moesaic::arch
