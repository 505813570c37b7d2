// Torch-free description of an architecture: options read from the keys of config.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arch/network_names.h"
#include "arch/rope.h"
#include "core/json.h"

namespace moesaic::arch {

/// RMSNorm of projected queries and keys: over all heads together (olmoe) or each head (qwen3).
enum class QkNorm { kNone, kAllHeads, kEachHead };

/// Options of every supported family; a family uses those its model has. Names are Hugging Face's,
/// those of the family that came first where the hub has several.
struct Options {
  std::string model_type;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;  // of a dense layer
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  Rope rope;
  double initializer_range = 0.02;
  bool tie_word_embeddings = false;
  bool attention_bias = false;  // of q_proj, k_proj, v_proj; MLA: of the first projections
  bool output_bias = false;     // of o_proj
  bool mlp_bias = false;        // of dense layers and shared experts
  QkNorm qk_norm = QkNorm::kNone;
  double clip_qkv = 0.0;  // 0 = off

  // Multi-head latent attention (DeepSeek-AI 2024, arXiv 2405.04434, section 2.1).
  std::int64_t kv_lora_rank = 0;  // 0 = ordinary attention
  std::int64_t q_lora_rank = 0;   // 0 = queries are projected at once
  std::int64_t qk_nope_head_dim = 0;
  std::int64_t qk_rope_head_dim = 0;
  std::int64_t v_head_dim = 0;

  std::int64_t num_experts = 0;  // 0 = dense
  std::int64_t num_experts_per_tok = 0;
  std::int64_t moe_intermediate_size = 0;     // of one expert
  std::int64_t shared_intermediate_size = 0;  // of the expert that every token meets; 0 = none
  bool shared_expert_gate = false;            // its output is scaled by sigmoid(gate x)
  bool norm_topk_prob = false;                // the chosen weights are divided by their sum
  std::string scoring_func = "softmax";       // softmax | sigmoid
  bool correction_bias = false;               // added to the scores for the choice alone
  double router_top_p = 0.0;         // of the probabilities chosen; 0 = num_experts_per_tok always
  std::int64_t zero_expert_num = 0;  // further experts that give the token back as it is
  bool rsqrt_router_logits = false;  // the router's logits are divided by sqrt(hidden_size)
  std::int64_t n_group = 1;          // experts are chosen from topk_group of n_group groups
  std::int64_t topk_group = 1;
  std::int64_t group_score_top = 1;  // a group's score is the sum of its best 1 or 2 scores
  double routed_scaling_factor = 1.0;
  std::int64_t first_k_dense_replace = 0;     // layers before this one are dense
  std::int64_t decoder_sparse_step = 1;       // of the others every n-th is a MoE layer
  std::vector<std::int64_t> mlp_only_layers;  // and these are dense; sorted

  // Multi-token prediction (DeepSeek-AI 2024, arXiv 2412.19437, section 2.2): so many further
  // blocks, counted as layers from num_hidden_layers on, each predicting one token further ahead.
  std::int64_t num_nextn_predict_layers = 0;

  // A classifier of rows of features (mlp): linear layers with ReLU between them. hidden_size is
  // then the width that the last one reads, vocab_size the number of labels (num_labels).
  std::int64_t input_size = 0;             // features of a row; 0 = the inputs are tokens
  std::vector<std::int64_t> hidden_sizes;  // of the layers before the last one

  bool reads_features() const { return input_size > 0; }
  bool is_moe() const { return num_moe_layers() > 0; }
  bool is_moe_layer(std::int64_t layer) const;
  std::int64_t num_moe_layers() const;
  std::int64_t num_routers() const;  // with those of layers for multi-token prediction
  std::int64_t router_columns() const { return num_experts + zero_expert_num; }
  double router_logit_scale() const;  // of the router's products with a token
  /// Choices that no model class of Transformers knows; a scale of logits goes into the weights.
  bool has_own_routing() const;
  bool is_mla() const { return kv_lora_rank > 0; }
  std::int64_t query_head_dim() const {  // also of a key
    return is_mla() ? qk_nope_head_dim + qk_rope_head_dim : head_dim;
  }
  std::int64_t value_head_dim() const { return is_mla() ? v_head_dim : head_dim; }
  std::int64_t rotary_dim() const { return is_mla() ? qk_rope_head_dim : head_dim; }
};

/// A mistake in the configuration, `key` as in config.json ("" = the whole).
struct Problem {
  std::string key;
  std::string message;
  bool warning = false;
};

/// Reads the keys of `config`; absent keys take the defaults of that family's configuration class
/// in Transformers. A key that could change the mathematics and is not supported is a problem; one
/// that cannot is passed over (arch/passed_over.h). All mistakes at once; the options are
/// meaningful only when no problem other than warnings came back.
Options read_options(const Json& config, std::vector<Problem>& problems);

/// As above, but throws Error(kRecipe) with every problem in its message, each after `where`.
Options require_options(const Json& config, const std::string& where);

/// Values of `model_type` that are supported.
std::vector<std::string> model_types();

/// Every key that `read_options` knows for a model_type; empty for an unknown one.
std::vector<std::string> config_keys(const std::string& model_type);

/// config.json for a checkpoint: the keys of the family, complete, as Transformers reads them.
Json to_config(const Options& options);

}  // namespace moesaic::arch
