// Keys that the family of a model does not have. Hub files have them all the same, left by other
// classes, tools and tunes: one whose value says what the model does anyway is read, any other
// would be another model.
#include <algorithm>

#include "arch/family.h"

namespace moesaic::arch {
namespace {

struct NeutralKey {
  std::vector<const char*> names;
  std::vector<Json> values;  // beside null
  std::string reason;
};

std::vector<NeutralKey> of_attention(const Options& o) {
  const std::string biases = "the model's own keys for biases say otherwise";
  return {
      {{"attention_bias"}, {o.output_bias}, "o_proj has no bias"},
      {{"use_bias", "bias"}, {o.attention_bias || o.mlp_bias}, biases},
      {{"qkv_bias"}, {o.attention_bias}, biases},
      {{"mlp_bias"}, {o.mlp_bias}, biases},
      {{"use_qk_norm", "qk_norm", "qk_layernorm"},
       {o.qk_norm != QkNorm::kNone},
       format("queries and keys of {} have {}", o.model_type,
              o.qk_norm == QkNorm::kNone ? "no norm" : "a norm")},
      {{"clip_qkv"}, {}, "only olmoe has it"},
      {{"partial_rotary_factor", "rotary_pct", "rope_pct"}, {1}, "the whole head is rotated"},
      {{"rope_interleave", "rope_interleaved"},
       {o.rope.interleaved},
       format("{} rotates {} pairs", o.model_type, o.rope.interleaved ? "adjacent" : "half-split")},
      {{"attn_logit_softcapping"}, {}, "logits are not capped"},
  };
}

std::vector<NeutralKey> of_every_model() {
  const std::string dropout = "dropout is not part of this version; set it to 0 to do without";
  const std::string scales = "only 1 is; no model here scales there";
  return {
      {{"hidden_act", "hidden_activation", "mlp_hidden_act", "activation_function"},
       {"silu", "swish"},
       "only silu is"},
      {{"attention_dropout", "attention_probs_dropout_prob", "attn_pdrop", "resid_pdrop",
        "embd_pdrop", "hidden_dropout", "hidden_dropout_prob", "dropout"},
       {0},
       dropout},
      {{"use_mrope", "alibi", "use_alibi", "use_parallel_residual"},
       {false},
       "no model here has that"},
      {{"embedding_multiplier", "residual_multiplier", "logits_scaling", "logit_scale"},
       {1},
       scales},
      {{"final_logit_softcapping"}, {}, "logits are not capped"},
      {{"is_encoder_decoder", "add_cross_attention"}, {false}, "only decoders are"},
      {{"pruned_heads"}, {Json::object(), Json::array()}, "heads are not pruned"},
      {{"per_layer_config"}, {Json::object()}, "all layers are alike"},
      {{"quantization_config", "quantization", "compression_config"},
       {},
       "only plain weights are; take the model's folder without quantisation, or remove the key if "
       "all weights are F64, F32, F16 or BF16"},
  };
}

std::vector<NeutralKey> of_experts(const Options& o) {
  const std::string other = format("a {} routes otherwise", o.model_type);
  const std::int64_t shared = o.shared_intermediate_size;
  return {
      {{"num_experts", "num_local_experts", "n_routed_experts"},
       {o.num_experts},
       format("the model has {} experts", o.num_experts)},
      {{"num_experts_per_tok"}, {o.num_experts_per_tok}, other},
      {{"moe_intermediate_size"},
       {o.moe_intermediate_size},
       format("an expert is {} wide", o.moe_intermediate_size)},
      {{"shared_expert_intermediate_size", "moe_shared_expert_intermediate_size"},
       {shared},
       format("the shared expert of this {} is {} wide", o.model_type, shared)},
      {{"n_shared_experts", "num_shared_experts"},
       {shared > 0 ? Json(nullptr) : Json(0)},
       format("the shared expert of this {} is {} wide", o.model_type, shared)},
      {{"norm_topk_prob"}, {o.norm_topk_prob}, other},
      {{"scoring_func"}, {o.scoring_func}, other},
      {{"topk_method"}, {"greedy"}, other},
      {{"n_group"}, {o.n_group}, other},
      {{"topk_group"}, {o.topk_group}, other},
      {{"routed_scaling_factor"}, {o.routed_scaling_factor}, other},
      {{"router_jitter_noise", "moe_jitter_eps", "input_jitter_noise"},
       {0},
       "the recipe has its own (moe.router_jitter_noise); set it to 0"},
      {{"first_k_dense_replace"}, {o.first_k_dense_replace}, "experts are in other layers"},
      {{"moe_layer_freq"}, {1}, "every layer from first_k_dense_replace on has experts"},
      {{"decoder_sparse_step"}, {1}, "experts are in other layers"},
      {{"mlp_only_layers"}, {Json::array()}, "experts are in other layers"},
      {{"num_nextn_predict_layers", "num_mtp_layers"},
       {o.num_nextn_predict_layers},
       "only deepseek_v3 has layers for multi-token prediction"},
  };
}

void check_layer_types(ConfigReader& reader) {
  reader.accept({"layer_types"});
  if (!reader.has("layer_types")) return;
  const Json& types = reader.json().at("layer_types");
  const bool full = types.is_array() && std::all_of(types.begin(), types.end(), [](const Json& t) {
                      return t == "full_attention";
                    });
  if (!full) reader.error("layer_types", "only full_attention is supported");
}

}  // namespace

void read_sliding_window(ConfigReader& reader, bool unless_asked, const Options& o) {
  constexpr std::int64_t kOfTheClasses = 4096;
  const bool used = reader.flag("use_sliding_window", !unless_asked);
  reader.accept({"sliding_window", "max_window_layers"});
  const bool absent = !reader.json().contains("sliding_window");
  if (!used || (absent && !unless_asked)) return;
  // null: none. A window as long as the model's positions hides nothing.
  const std::int64_t none = absent ? kOfTheClasses : o.max_position_embeddings;
  const std::int64_t window = reader.size("sliding_window", none, std::int64_t{1} << 40);
  if (window >= o.max_position_embeddings) return;
  reader.error(unless_asked ? "use_sliding_window" : "sliding_window",
               format("a window of {} is not supported: attention covers the whole sequence, here "
                      "up to {} positions (max_position_embeddings)",
                      window, o.max_position_embeddings));
}

void read_neutral_keys(ConfigReader& reader, const Options& o) {
  if (!reader.known().contains("sliding_window")) read_sliding_window(reader, false, o);
  check_layer_types(reader);
  for (const auto& keys : {of_attention(o), of_every_model(), of_experts(o)}) {
    for (const NeutralKey& key : keys) {
      for (const char* name : key.names)
        if (!reader.known().contains(name)) reader.only(name, key.values, key.reason);
    }
  }
}

}  // namespace moesaic::arch
