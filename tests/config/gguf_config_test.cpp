// The keys of a GGUF file's model: read, or refused by name where they could change its numbers.
#include "config/gguf_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "arch/arch.h"
#include "gguf_maker.h"

namespace moesaic {
namespace {

using Maker = test::GgufMaker;

/// One key of the metadata, without the name of the architecture.
struct Key {
  std::string name;
  std::function<void(Maker&, const std::string& name)> add;
};
Key number(const std::string& name, double value) {
  return {name,
          [value](Maker& m, const std::string& key) { m.number(key, static_cast<float>(value)); }};
}
Key integer(const std::string& name, std::uint32_t value) {
  return {name, [value](Maker& m, const std::string& key) { m.integer(key, value); }};
}
Key flag(const std::string& name, bool value) {
  return {name, [value](Maker& m, const std::string& key) { m.flag(key, value); }};
}
Key words(const std::string& name, const std::string& value) {
  return {name, [value](Maker& m, const std::string& key) { m.words(key, value); }};
}

std::vector<Key> keys_of(const std::string& architecture) {
  std::vector<Key> keys = {
      integer("block_count", 1),          integer("context_length", 64),
      integer("embedding_length", 32),    integer("feed_forward_length", 48),
      integer("attention.head_count", 4), number("attention.layer_norm_rms_epsilon", 1e-5),
      number("rope.freq_base", 500)};
  if (architecture == "llama" || architecture == "qwen3") return keys;
  for (const Key& key : {integer("expert_count", 8), integer("expert_used_count", 2),
                         integer("expert_feed_forward_length", 16)})
    keys.push_back(key);
  return keys;
}

Json config_of(const std::vector<Key>& more, const std::string& architecture = "llama") {
  std::vector<Key> keys = keys_of(architecture);
  keys.insert(keys.end(), more.begin(), more.end());
  Maker maker;
  maker.begin(1, 1 + keys.size()).words("general.architecture", architecture);
  for (const Key& key : keys) key.add(maker, architecture + "." + key.name);
  maker.tensor("token_embd.weight", {32, 2}, 0, 0);
  const std::string file = maker.with_values(256);
  return gguf_config(read_gguf_header(file, "model.gguf"));
}

arch::Rope rope_of(const std::vector<Key>& more) {
  return arch::require_options(config_of(more), "model.gguf").rope;
}

void expect_refused(const std::vector<Key>& more, const std::string& word,
                    const std::string& architecture = "llama") {
  try {
    config_of(more, architecture);
    FAIL() << "was read: " << word;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("model.gguf"), std::string::npos) << error.what();
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
  }
}

TEST(GgufConfig, RefusesOtherArchitecturesByName) { expect_refused({}, "'mamba'", "mamba"); }

TEST(GgufConfig, TakesRotaryScalingWithoutATypeForLinear) {
  const arch::Rope plain = rope_of({});
  EXPECT_EQ(plain.type, "default");
  EXPECT_EQ(plain.theta, 500);
  for (const std::vector<Key>& keys :
       {std::vector{number("rope.scale_linear", 4)}, std::vector{number("rope.scaling.factor", 4)},
        std::vector{number("rope.scaling.factor", 4), number("rope.scale_linear", 3)},
        std::vector{integer("rope.scaling.factor", 4)},
        std::vector{words("rope.scaling.type", "linear"), number("rope.scale_linear", 4)}}) {
    const arch::Rope rope = rope_of(keys);
    EXPECT_EQ(rope.type, "linear");
    EXPECT_EQ(rope.factor, 4);
    EXPECT_EQ(rope.theta, 500);
  }
  for (const std::vector<Key>& keys :
       {std::vector{number("rope.scale_linear", 1)}, std::vector{number("rope.scaling.factor", 0)},
        std::vector{words("rope.scaling.type", "linear")},
        std::vector{words("rope.scaling.type", "none"), number("rope.scaling.factor", 4)},
        std::vector{flag("rope.scaling.finetuned", true), number("rope.scaling.attn_factor", 1),
                    integer("rope.scaling.original_context_length", 16)}})
    EXPECT_EQ(rope_of(keys), plain);
}

TEST(GgufConfig, ReadsYarn) {
  const std::vector<Key> yarn = {words("rope.scaling.type", "yarn"),
                                 number("rope.scaling.factor", 4),
                                 integer("rope.scaling.original_context_length", 16)};
  const arch::Rope rope = rope_of(yarn);
  EXPECT_EQ(rope.type, "yarn");
  EXPECT_EQ(rope.factor, 4);
  EXPECT_EQ(rope.original_max_position_embeddings, 16);
  EXPECT_EQ(rope.beta_fast, 32);
  EXPECT_EQ(rope.beta_slow, 1);
  EXPECT_DOUBLE_EQ(rope.attention_factor(), 0.1 * std::log(4.0) + 1);
  std::vector<Key> more = yarn;
  for (const Key& key :
       {number("rope.scaling.attn_factor", 0.5), number("rope.scaling.yarn_beta_fast", 24),
        number("rope.scaling.yarn_beta_slow", 2), number("rope.scaling.yarn_ext_factor", 1)})
    more.push_back(key);
  const arch::Rope changed = rope_of(more);
  EXPECT_EQ(changed.beta_fast, 24);
  EXPECT_EQ(changed.beta_slow, 2);
  EXPECT_DOUBLE_EQ(changed.attention_factor(), 0.5 * (0.1 * std::log(4.0) + 1));
  expect_refused({yarn[0], yarn[1]}, "original_context_length");
  expect_refused({yarn[0], yarn[2]}, "rope.scaling.factor");
  more.back() = number("rope.scaling.yarn_ext_factor", 0.5);
  expect_refused(more, "llama.rope.scaling.yarn_ext_factor is 0.5");
}

TEST(GgufConfig, RefusesOtherRotarySettings) {
  expect_refused({words("rope.scaling.type", "longrope")}, "'longrope'");
  expect_refused({words("rope.scaling.type", "")}, "rotary scaling ''");
  expect_refused({number("rope.scaling.attn_factor", 1.2)}, "attn_factor");
  expect_refused({number("rope.scaling.yarn_log_multiplier", 0.1)}, "yarn_log_multiplier");
  expect_refused({number("rope.scaling.alpha", 1000)}, "alpha");
  expect_refused({integer("rope.dimension_count", 4)}, "4 of 8 dimensions");
  expect_refused({number("rope.freq_base_swa", 1e4)}, "llama.rope.freq_base_swa");
}

TEST(GgufConfig, RefusesKeysThatCouldChangeWhatTheModelComputes) {
  for (const Key& key :
       {flag("attention.causal", false), number("attention.clamp_kqv", 8),
        number("attention.scale", 0.5), integer("attention.sliding_window", 16),
        integer("attention.value_length", 16), number("attention.max_alibi_bias", 8),
        number("logit_scale", 0.125), number("final_logit_softcapping", 30),
        number("residual_scale", 0.22), number("embedding_scale", 12),
        flag("use_parallel_residual", true), integer("leading_dense_block_count", 1),
        integer("attention.shared_kv_layers", 1), words("a_key_of_tomorrow", "x")})
    expect_refused({key}, key.name);
  expect_refused({integer("expert_gating_func", 2)}, "only softmax", "qwen3moe");
  expect_refused({number("expert_weights_scale", 2.5)}, "expert_weights_scale", "qwen3moe");
  expect_refused({integer("expert_group_count", 8)}, "not in groups", "qwen2moe");
}

TEST(GgufConfig, PassesOverWhatSaysTheSame) {
  const Json plain = config_of({});
  for (const Key& key :
       {flag("attention.causal", true), number("attention.scale", 1 / std::sqrt(8.0)),
        integer("attention.sliding_window", 64), integer("attention.value_length", 8),
        number("logit_scale", 1), number("attention.clamp_kqv", 0), integer("vocab_size", 2),
        words("tensor_data_layout", "any"), integer("expert_count", 0),
        integer("attention.key_length", 8)})
    EXPECT_EQ(config_of({key}), plain) << key.name;
}

TEST(GgufConfig, ReadsWhatFamiliesWithExpertsSay) {
  EXPECT_EQ(config_of({}, "qwen3moe").at("norm_topk_prob"), true);
  EXPECT_EQ(config_of({flag("expert_weights_norm", false)}, "qwen3moe").at("norm_topk_prob"),
            false);
  EXPECT_EQ(config_of({flag("expert_weights_norm", true)}, "qwen2moe").at("norm_topk_prob"), true);
  EXPECT_EQ(config_of({number("attention.clamp_kqv", 8)}, "olmoe").at("clip_qkv"), 8);
  EXPECT_EQ(config_of({integer("expert_gating_func", 1)}, "olmoe").at("norm_topk_prob"), false);
  EXPECT_EQ(config_of({integer("attention.key_length", 16)}, "qwen2moe").at("head_dim"), 16);
}

}  // namespace
}  // namespace moesaic
