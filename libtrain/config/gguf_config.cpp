#include "config/gguf_config.h"

#include <cmath>

#include "config/gguf_keys.h"
#include "core/format.h"

namespace moesaic {
namespace {

std::string model_type(GgufKeys& keys) {
  const std::string& name = keys.architecture();
  if (name == "llama") return keys.integer("expert_count").value_or(0) > 0 ? "mixtral" : "llama";
  if (name == "qwen3" || name == "olmoe") return name;
  if (name == "qwen2moe") return "qwen2_moe";
  if (name == "qwen3moe") return "qwen3_moe";
  keys.refuse(
      format("the architecture is '{}'; llama, qwen3, qwen2moe, qwen3moe and olmoe are read",
             printable(name)));
}

// `attn_factor` multiplies what the paper gives (arXiv 2309.00071, section 3.4).
void add_yarn(GgufKeys& keys, double factor, Json& rope) {
  constexpr const char* kAttention = "rope.scaling.attn_factor";
  if (factor == 0) factor = keys.required_number("rope.scaling.factor");
  rope["rope_type"] = "yarn";
  rope["factor"] = factor;
  rope["original_max_position_embeddings"] = keys.required("rope.scaling.original_context_length");
  rope["beta_fast"] = keys.number("rope.scaling.yarn_beta_fast").value_or(32.0);
  rope["beta_slow"] = keys.number("rope.scaling.yarn_beta_slow").value_or(1.0);
  const double attention = keys.number(kAttention).value_or(1.0);
  if (attention != 1)
    rope["attention_factor"] = attention * (factor <= 1 ? 1.0 : 0.1 * std::log(factor) + 1.0);
}

// A type that is absent is linear and a factor that is absent is 1, as other readers have it;
// rope.scale_linear is what the factor was called at first.
void add_scaling(GgufKeys& keys, Json& rope) {
  const std::string type(keys.text("rope.scaling.type").value_or("linear"));
  const double old = keys.number("rope.scale_linear").value_or(0.0);
  const double factor = keys.number("rope.scaling.factor").value_or(old);
  const bool yarn = type == "yarn";
  if (yarn) {
    add_yarn(keys, factor, rope);
  } else if (type == "linear") {
    if (factor != 0 && factor != 1) rope.update({{"rope_type", "linear"}, {"factor", factor}});
  } else if (type != "none") {
    keys.refuse(
        format("rotary scaling '{}' is not read; none, linear and yarn are", printable(type)));
  }
  if (!yarn) keys.only("rope.scaling.attn_factor", {1}, "only yarn scales the rotated parts");
  const char* const other = "the variants of yarn are not read";
  keys.only("rope.scaling.yarn_ext_factor", {-1, yarn ? 1.0 : 0.0}, other);
  keys.only("rope.scaling.yarn_attn_factor", {1}, other);
  keys.only("rope.scaling.yarn_log_multiplier", {0}, other);
  keys.only("rope.scaling.alpha", {0}, "rotary scaling by alpha is not read");
  keys.pass_over({"rope.scaling.finetuned", "rope.scaling.original_context_length",
                  "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"});
}

void add_rotary(const GgufHeader& header, GgufKeys& keys, std::int64_t head_dim, Json& config) {
  const auto rotated = keys.integer("rope.dimension_count").value_or(head_dim);
  if (rotated != head_dim)
    keys.refuse(format("{} of {} dimensions of a head are rotated", rotated, head_dim));
  if (header.find("rope_freqs.weight") != nullptr)
    keys.refuse("rope_freqs.weight (Llama 3.1's rotary scaling) is not read");
  Json rope = {{"rope_type", "default"},
               {"rope_theta", keys.number("rope.freq_base").value_or(10000.0)}};
  add_scaling(keys, rope);
  config["rope_parameters"] = rope;
}

void add_attention(GgufKeys& keys, std::int64_t width, Json& config) {
  const std::int64_t heads = keys.required("attention.head_count");
  if (heads < 1) keys.refuse("attention.head_count must be positive");
  const std::int64_t even = width / heads;
  const std::int64_t head_dim = keys.integer("attention.key_length").value_or(even);
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = keys.integer("attention.head_count_kv").value_or(heads);
  const bool derived = config["model_type"] == "olmoe" || config["model_type"] == "qwen2_moe";
  if (!derived || head_dim != even) config["head_dim"] = head_dim;
  const auto wide = static_cast<double>(head_dim);
  keys.only("attention.value_length", {wide}, format("a head of keys has {}", head_dim));
  keys.only("attention.scale", {0, 1 / std::sqrt(wide)}, "only 1 / sqrt(head width) is");
  const std::int64_t window = keys.integer("attention.sliding_window").value_or(0);
  if (window != 0 && window < keys.required("context_length"))
    keys.refuse(
        format("attention.sliding_window is {}: attention covers the whole context", window));
  if (config["model_type"] != "olmoe") {
    keys.only("attention.clamp_kqv", {0}, "only olmoe clips");
  } else if (const double most = keys.number("attention.clamp_kqv").value_or(0); most != 0) {
    config["clip_qkv"] = most;
  }
}

void add_experts(GgufKeys& keys, Json& config) {
  const std::string type = config["model_type"];
  const std::int64_t experts = keys.required("expert_count");
  config[type == "mixtral" ? "num_local_experts" : "num_experts"] = experts;
  config["num_experts_per_tok"] = keys.required("expert_used_count");
  const auto width = keys.integer("expert_feed_forward_length");
  if (type == "qwen2_moe" || type == "qwen3_moe") {
    config["moe_intermediate_size"] = width ? *width : keys.required("feed_forward_length");
  } else if (width) {
    config["intermediate_size"] = *width;
  }
  // Few files say whether the weights of the chosen are divided by their sum; in the others it is
  // as in the family's own models.
  if (type == "mixtral") {
    keys.only("expert_weights_norm", {1}, "those of mixtral are divided by their sum");
  } else {
    const bool own = type == "qwen3_moe";
    config["norm_topk_prob"] = keys.flag("expert_weights_norm").value_or(own);
  }
  const auto shared = keys.integer("expert_shared_feed_forward_length");
  if (type == "qwen2_moe" && shared) config["shared_expert_intermediate_size"] = *shared;
}

// A part knows its tensors, and the first alone the rest.
void refuse_part(const GgufHeader& header) {
  const std::int64_t parts = header.integer("split.count").value_or(0);
  if (parts <= 1) return;
  throw Error(ErrorKind::kCheckpoint,
              format("{} is part {} of {} of a model", header.where,
                     header.integer("split.no").value_or(0) + 1, parts),
              "join the parts first: llama-gguf-split --merge FIRST_PART WHOLE.gguf");
}

// Keys of other models, with the value that says what these do anyway.
void check_others(GgufKeys& keys) {
  const char* const scales = "only 1 is; no model here scales there";
  for (const char* key : {"logit_scale", "residual_scale", "embedding_scale",
                          "attention.output_scale", "expert_weights_scale"})
    keys.only(key, {0, 1}, scales);
  for (const char* key :
       {"attn_logit_softcapping", "final_logit_softcapping", "router_logit_softcapping"})
    keys.only(key, {0}, "logits are not capped");
  keys.only("attention.causal", {1}, "only causal attention is");
  keys.only("attention.max_alibi_bias", {0}, "positions are rotary");
  keys.only("use_parallel_residual", {0}, "attention and network follow one another");
  keys.only("expert_gating_func", {0, 1}, "only softmax (1) is");
  for (const char* key : {"expert_group_count", "expert_group_used_count"})
    keys.only(key, {0, 1}, "experts are not in groups");
  for (const char* key : {"leading_dense_block_count", "nextn_predict_layers"})
    keys.only(key, {0}, "all layers of such a file are alike");
  for (const char* key : {"interleave_moe_layer_step", "moe_every_n_layers"})
    keys.only(key, {0, 1}, "all layers of such a file are alike");
  // Names and sizes that the tensors say, too.
  keys.pass_over({"vocab_size", "tensor_data_layout", "pooling_type", "decoder_start_token_id",
                  "expert_count", "expert_used_count", "expert_feed_forward_length",
                  "expert_shared_count", "expert_shared_feed_forward_length"});
  keys.refuse_unread();
}

void add_token_ids(const GgufHeader& header, Json& config) {
  for (const char* const name : {"bos", "eos"}) {
    const auto id = header.integer(format("tokenizer.ggml.{}_token_id", name));
    config[format("{}_token_id", name)] = id ? Json(*id) : Json(nullptr);
  }
}

}  // namespace

Json gguf_config(const GgufHeader& header) {
  GgufKeys keys(header);
  refuse_part(header);
  const GgufTensor* const embedding = header.find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    keys.refuse("there is no token_embd.weight");
  Json config = {{"model_type", model_type(keys)}};
  const std::int64_t width = keys.required("embedding_length");
  config["vocab_size"] = embedding->shape[0];
  config["hidden_size"] = width;
  config["num_hidden_layers"] = keys.required("block_count");
  add_attention(keys, width, config);
  if (const auto inner = keys.integer("feed_forward_length")) config["intermediate_size"] = *inner;
  config["max_position_embeddings"] = keys.required("context_length");
  config["rms_norm_eps"] = keys.number("attention.layer_norm_rms_epsilon").value_or(1e-5);
  config["tie_word_embeddings"] = header.find("output.weight") == nullptr;
  if (config["model_type"] == "llama")
    config["attention_bias"] = header.find("blk.0.attn_q.bias") != nullptr;
  const std::int64_t heads = config["num_attention_heads"];
  add_rotary(header, keys, config.value("head_dim", width / heads), config);
  if (keys.integer("expert_count").value_or(0) > 0) add_experts(keys, config);
  check_others(keys);
  add_token_ids(header, config);
  return config;
}

}  // namespace moesaic
