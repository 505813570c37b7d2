// config.json of models as the hub has them, and what tools and careless use make of such files:
// each is read, or refused for a reason that holds.
#include <gtest/gtest.h>

#include "arch/parameter_table.h"
#include "arch/passed_over.h"

namespace moesaic::arch {
namespace {

Json hub_config(const std::string& name) {
  return read_json(format("{}/{}.json", MOESAIC_HUB_CONFIGS, name));
}

Json with(Json config, const Json& change) {
  config.update(change);
  return config;
}

// "key: message" of each problem.
std::vector<std::string> problems_of(const Json& config, bool warnings = false) {
  std::vector<Problem> problems;
  read_options(config, problems);
  std::vector<std::string> lines;
  for (const Problem& problem : problems) {
    if (problem.warning == warnings) lines.push_back(problem.key + ": " + problem.message);
  }
  return lines;
}

void expect_read(const Json& config) {
  EXPECT_EQ(problems_of(config), std::vector<std::string>{}) << config.dump();
}

// That the only problem names `key` and says `word`.
void expect_refused(const Json& config, const std::string& key, const std::string& word = "") {
  const std::vector<std::string> lines = problems_of(config);
  ASSERT_EQ(lines.size(), 1U) << config.dump() << format("{}", join(lines, "\n"));
  EXPECT_TRUE(lines[0].starts_with(key + ": ")) << lines[0];
  EXPECT_NE(lines[0].find(word), std::string::npos) << lines[0];
}

// The counts are those of the model classes of Transformers.
TEST(HubConfig, OfEveryFamilyGivesTheModelItsClassMakes) {
  const std::vector<std::pair<std::string, std::int64_t>> models = {
      {"deepseek-coder-1.3b-base", 1346471936},
      {"deepseek-v2", 235741434880},
      {"deepseek-v2-lite", 15706484224},
      {"deepseek-v3-bf16", 671026404352 + 58 * 256},  // and the correction biases
      {"llama-2-13b-tune-with-generation-keys", 13015864320},
      {"llama-3.1-8b-instruct", 8030261248},
      {"llama-3.2-1b", 1235814400},
      {"llama-3.2-1b-of-transformers-5", 1235814400},
      {"llama-7b-of-2023", 6738415616},
      {"mixtral-8x22b-instruct", 140630071296},
      {"mixtral-8x7b", 46702792704},
      {"moonlight-16b-a3b", 15960108544 + 26 * 64},
      {"olmoe-1b-7b-0924", 6919161856},
      {"qwen1.5-moe-a2.7b", 14315784192},
      {"qwen3-0.6b", 596049920},
      {"qwen3-30b-a3b", 30532122624},
      {"qwen3-4b-of-transformers-5", 4022468096},
      {"qwen3-coder-30b-a3b-instruct", 30532122624},
      {"smollm2-135m-instruct", 134515008},
      {"unsloth-llama-3.2-1b-instruct", 1235814400},
      {"unsloth-qwen3-8b-128k", 8190735360}};
  for (const auto& [name, parameters] : models) {
    const Json config = hub_config(name);
    expect_read(config);
    Options options = require_options(config, name);
    options.num_nextn_predict_layers = 0;
    std::int64_t count = 0;
    for (const ParameterInfo& info : parameter_table(options)) count += info.numel();
    EXPECT_EQ(count, parameters) << name;
    const Json written = to_config(options);
    EXPECT_EQ(to_config(require_options(written, name)), written) << name;
  }
}

TEST(HubConfig, OfBothSpellingsIsTheSameModel) {
  EXPECT_EQ(to_config(require_options(hub_config("llama-3.2-1b"), "old")),
            to_config(require_options(hub_config("llama-3.2-1b-of-transformers-5"), "new")));
}

TEST(HubConfig, OfWhatIsNotSupportedSaysWhatToDo) {
  for (const char* name : {"deepseek-v3", "unsloth-llama-3.2-1b-bnb-4bit"})
    expect_refused(hub_config(name), "quantization_config", "folder without quantisation");
  expect_refused(hub_config("phi-3-mini-128k"), "model_type", "is not one of the supported");
}

// Every family, with its own keys.
std::vector<Json> of_each_family() {
  std::vector<Json> configs;
  for (const char* name :
       {"llama-3.2-1b", "qwen3-0.6b", "mixtral-8x7b", "olmoe-1b-7b-0924", "qwen1.5-moe-a2.7b",
        "qwen3-30b-a3b", "deepseek-v2-lite", "deepseek-v3-bf16"})
    configs.push_back(hub_config(name));
  return configs;
}

TEST(PassedOver, AreKeysThatCannotChangeTheMathematics) {
  const Json keys = {{"temperature", 0.7},
                     {"max_length", 20},
                     {"num_beams", 4},
                     {"do_sample", true},
                     {"top_k", 50},
                     {"forced_eos_token_id", 2},
                     {"bad_words_ids", Json::array({Json::array({1, 2})})},
                     {"generation_config", Json::object()},
                     {"unsloth_fixed", true},
                     {"unsloth_version", "2025.1"},
                     {"unsloth_anything_later", Json::array()},
                     {"max_sequence_length", 2048},
                     {"_name_or_path", "/home/a/model"},
                     {"_attn_implementation_autoset", true},
                     {"_from_model_config", true},
                     {"flash_attention", true},
                     {"model_parallel", false},
                     {"pretraining_tp", 2},
                     {"chunk_size_feed_forward", 64},
                     {"ep_size", 8},
                     {"id2label", {{"0", "A"}}},
                     {"num_labels", 2},
                     {"gradient_checkpointing", true},
                     {"task_specific_params", Json::object()},
                     {"aux_loss_alpha", 0.01},
                     {"classifier_dropout", 0.1},
                     {"transformers.js_config", Json::object()}};
  for (const Json& config : of_each_family()) {
    expect_read(with(config, keys));
    EXPECT_EQ(to_config(require_options(with(config, keys), "with")),
              to_config(require_options(config, "without")));
  }
  EXPECT_TRUE(is_generation_key("temperature"));
  EXPECT_FALSE(is_generation_key("unsloth_fixed"));
  EXPECT_FALSE(is_passed_over("sliding_window"));
}

TEST(NeutralKeys, AreReadWhereTheySayWhatTheModelDoesAnyway) {
  const Json keys = {{"pruned_heads", Json::object()},
                     {"is_encoder_decoder", false},
                     {"add_cross_attention", false},
                     {"resid_pdrop", 0.0},
                     {"hidden_dropout_prob", 0},
                     {"partial_rotary_factor", 1.0},
                     {"use_parallel_residual", false},
                     {"logits_scaling", 1.0},
                     {"final_logit_softcapping", nullptr},
                     {"quantization_config", nullptr},
                     {"per_layer_config", Json::object()},
                     {"router_jitter_noise", 0.0},
                     {"sliding_window", nullptr},
                     {"use_sliding_window", false},
                     {"max_window_layers", 3},
                     {"moe_layer_freq", 1},
                     {"mlp_bias", false}};
  for (const Json& config : of_each_family()) {
    expect_read(with(config, keys));
    const Options options = require_options(config, "plain");
    const bool norm = options.qk_norm != QkNorm::kNone;
    expect_read(with(config, {{"use_qk_norm", norm}}));
    expect_refused(with(config, {{"use_qk_norm", !norm}}), "use_qk_norm", options.model_type);
    if (options.model_type != "qwen2_moe") {
      expect_read(
          with(config, {{"qkv_bias", false},
                        {"shared_expert_intermediate_size", options.shared_intermediate_size}}));
      expect_refused(with(config, {{"qkv_bias", true}}), "qkv_bias");
      expect_refused(with(config, {{"shared_expert_intermediate_size", 64}}),
                     "shared_expert_intermediate_size");
    }
    expect_refused(with(config, {{"pruned_heads", {{"0", {1}}}}}), "pruned_heads");
    expect_refused(with(config, {{"resid_pdrop", 0.1}}), "resid_pdrop", "set it to 0");
    expect_refused(with(config, {{"logits_scaling", 8.0}}), "logits_scaling");
    expect_refused(with(config, {{"alibi", true}}), "alibi");
    expect_refused(with(config, {{"a_key_of_tomorrow", 1}}), "a_key_of_tomorrow", "unknown key");
  }
}

TEST(NeutralKeys, OfExpertsAreReadInDenseModelsOnlyWhereThereAreNone) {
  const Json dense = hub_config("qwen3-0.6b");
  expect_read(with(dense, {{"num_experts", 0},
                           {"moe_intermediate_size", 0},
                           {"decoder_sparse_step", 1},
                           {"mlp_only_layers", Json::array()}}));
  expect_refused(with(dense, {{"num_experts", 8}}), "num_experts", "0 experts");
  expect_read(with(hub_config("mixtral-8x7b"), {{"norm_topk_prob", true},
                                                {"attention_bias", false},
                                                {"num_experts", 8},
                                                {"scoring_func", "softmax"}}));
  expect_refused(with(hub_config("mixtral-8x7b"), {{"norm_topk_prob", false}}), "norm_topk_prob");
  expect_refused(with(hub_config("mixtral-8x7b"), {{"scoring_func", "sigmoid"}}), "scoring_func");
  expect_refused(with(hub_config("olmoe-1b-7b-0924"), {{"first_k_dense_replace", 1}}),
                 "first_k_dense_replace");
}

TEST(SlidingWindow, IsReadWhereItHidesNothing) {
  const Json mixtral = hub_config("mixtral-8x7b");  // 32768 positions
  expect_read(with(mixtral, {{"sliding_window", 32768}}));
  expect_refused(with(mixtral, {{"sliding_window", 4096}}), "sliding_window", "window of 4096");
  const Json qwen = hub_config("qwen3-30b-a3b");  // 40960
  expect_read(with(qwen, {{"sliding_window", 4096}}));
  expect_read(with(qwen, {{"use_sliding_window", true}, {"sliding_window", 40960}}));
  expect_refused(with(qwen, {{"use_sliding_window", true}, {"sliding_window", 4096}}),
                 "use_sliding_window");
  Json absent = with(qwen, {{"use_sliding_window", true}});
  absent.erase("sliding_window");
  expect_refused(absent, "use_sliding_window", "4096");  // the default of the class
  const Json llama = hub_config("llama-3.2-1b");
  expect_read(with(llama, {{"use_sliding_window", false}, {"sliding_window", 4096}}));
  expect_refused(with(llama, {{"layer_types", {"full_attention", "sliding_attention"}}}),
                 "layer_types");
}

TEST(SharedExpert, OfWidthZeroIsNone) {
  const Options qwen = require_options(
      with(hub_config("qwen1.5-moe-a2.7b"), {{"shared_expert_intermediate_size", 0}}), "qwen");
  Json deepseek = hub_config("deepseek-v2-lite");
  for (const Json& none : {Json(0), Json(nullptr)}) {
    deepseek["n_shared_experts"] = none;
    const Options v2 = require_options(deepseek, "deepseek");
    for (const Options& options : {qwen, v2}) {
      for (const ParameterInfo& info : parameter_table(options))
        EXPECT_EQ(info.name.find("shared"), std::string::npos) << info.name;
      EXPECT_EQ(to_config(require_options(to_config(options), "again")), to_config(options));
    }
  }
}

// The rotary block, in both spellings.
void expect_rope_refused(const Json& block, const std::string& key, const std::string& word = "") {
  Json config = hub_config("llama-7b-of-2023");
  expect_refused(with(config, {{"rope_scaling", block}}), "rope_scaling." + key, word);
  expect_refused(with(config, {{"rope_parameters", with(block, {{"rope_theta", 1e4}})}}),
                 "rope_parameters." + key, word);
}

TEST(RopeBlock, ThatLacksWhatItsTypeNeedsIsRefused) {
  for (const char* type : {"yarn", "linear", "dynamic"})
    expect_rope_refused({{"rope_type", type}}, "factor", type);
  expect_rope_refused({{"type", "yarn"}, {"beta_fast", 32}}, "factor");
  expect_rope_refused({{"rope_type", "yarn"}, {"factor", nullptr}}, "factor");
  expect_rope_refused({{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}},
                      "high_freq_factor");
  expect_rope_refused(
      {{"rope_type", "llama3"}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}}, "factor");
  expect_rope_refused({{"factor", 4.0}}, "factor", "without a rope_type");
  expect_rope_refused({{"rope_type", "default"}, {"factor", 4.0}}, "factor");
}

TEST(RopeBlock, OfATypeThatIsNotKnownIsRefusedForThatAlone) {
  expect_rope_refused({{"type", "longrope"}, {"short_factor", {1.0}}, {"long_factor", {1.5}}},
                      "type", "longrope");
}

TEST(RopeBlock, ThatContradictsItselfIsRefused) {
  expect_rope_refused({{"rope_type", "linear"}, {"type", "dynamic"}, {"factor", 2.0}}, "type",
                      "remove one");
  expect_rope_refused({{"rope_type", "llama3"},
                       {"factor", 8.0},
                       {"low_freq_factor", 4.0},
                       {"high_freq_factor", 1.0},
                       {"original_max_position_embeddings", 8192}},
                      "high_freq_factor");
  expect_rope_refused({{"rope_type", "yarn"},
                       {"factor", 4.0},
                       {"original_max_position_embeddings", 512},
                       {"beta_fast", 1},
                       {"beta_slow", 32}},
                      "beta_fast");
}

TEST(RopeBlock, ThatTransformersCompletesIsReadAndSaysSo) {
  const Json config = hub_config("llama-7b-of-2023");  // 2048 positions
  const Json short_yarn = with(config, {{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}}});
  EXPECT_EQ(require_options(short_yarn, "yarn").rope.original_max_position_embeddings, 2048);
  const std::vector<std::string> warnings = problems_of(short_yarn, true);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("2048"), std::string::npos) << warnings[0];
  const Json ratio = {{"type", "yarn"}, {"original_max_position_embeddings", 512}};
  EXPECT_EQ(require_options(with(config, {{"rope_scaling", ratio}}), "ratio").rope.factor, 4.0);
  expect_read(with(config, {{"rope_scaling",
                             {{"type", "yarn"},
                              {"factor", 16.0},
                              {"finetuned", true},
                              {"original_max_position_embeddings", 128}}}}));
}

TEST(RouterLogitScale, IsOneOrTheRootOfTheWidth) {
  for (const Json& config : of_each_family()) {
    const bool experts = require_options(config, "plain").num_experts > 0;
    const Json scaled = with(config, {{"router_logit_scale", "rsqrt_hidden_size"}});
    if (!experts) {
      expect_refused(scaled, "router_logit_scale");
      continue;
    }
    const Options options = require_options(scaled, "scaled");
    EXPECT_DOUBLE_EQ(options.router_logit_scale() * options.router_logit_scale() *
                         static_cast<double>(options.hidden_size),
                     1.0);
    EXPECT_FALSE(options.has_own_routing());
    EXPECT_EQ(to_config(options).at("router_logit_scale"), "rsqrt_hidden_size");
    EXPECT_EQ(to_config(require_options(to_config(options), "again")), to_config(options));
    expect_read(with(config, {{"router_logit_scale", 1}}));
    EXPECT_FALSE(to_config(require_options(config, "plain")).contains("router_logit_scale"));
    for (const Json& wrong : {Json(2), Json("sqrt"), Json(0.5), Json(true), Json(Json::object())})
      expect_refused(with(config, {{"router_logit_scale", wrong}}), "router_logit_scale",
                     "rsqrt_hidden_size");
  }
}

}  // namespace
}  // namespace moesaic::arch
