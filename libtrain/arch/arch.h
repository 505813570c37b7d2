// Torch-free description of an architecture: options read from the keys of Hugging Face
// config.json, and one table of all parameters. The model, `plan`, the checkpoint and `inspect` are
// all driven by this table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"

namespace moesaic::arch {

/// Options of every supported family; a family uses those its model has. Names are Hugging Face's.
struct Options {
  std::string model_type;  // "olmoe" | "llama"
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;  // olmoe: width of one expert
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  double initializer_range = 0.02;
  bool tie_word_embeddings = false;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;          // RMSNorm over the whole projected query and key (olmoe)
  double clip_qkv = 0.0;         // 0 = off
  std::int64_t num_experts = 0;  // 0 = dense
  std::int64_t num_experts_per_tok = 0;
  bool norm_topk_prob = false;

  bool is_moe() const { return num_experts > 0; }
};

/// A mistake in the configuration, `key` as in config.json ("" = the whole).
struct Problem {
  std::string key;
  std::string message;
  bool warning = false;
};

/// Reads the keys of `config`; absent keys take the defaults of that family's configuration class
/// in Transformers. A key that changes the mathematics and is not supported is a problem, never
/// ignored. All mistakes at once; the options are meaningful only when no problem other than
/// warnings came back.
Options read_options(const Json& config, std::vector<Problem>& problems);

/// As above, but throws Error(kRecipe) with every problem in its message, each after `where`.
Options require_options(const Json& config, const std::string& where);

/// Values of `model_type` that are supported.
std::vector<std::string> model_types();

/// Every key that `read_options` knows for a model_type; empty for an unknown one.
std::vector<std::string> config_keys(const std::string& model_type);

/// config.json for a checkpoint: the keys of the family, complete, as Transformers reads them.
Json to_config(const Options& options);

enum class Scope { kDense, kExpert };
enum class Init { kNormal, kOnes, kZeros };  // kNormal: mean 0, std initializer_range

struct ParameterInfo {
  std::string name;                 // the hub's, with "experts.<i>." joined to "experts."
  std::vector<std::int64_t> shape;  // global; the first dimension of kExpert is num_experts
  Scope scope = Scope::kDense;
  Init init = Init::kNormal;
  bool decay = true;           // weight decay applies (false for norms and biases)
  double flops_per_token = 0;  // forward, counting a multiply-add as 2; experts: of the top k only

  std::int64_t numel() const;
};

/// Every parameter in checkpoint order. A tied lm_head is left out.
std::vector<ParameterInfo> parameter_table(const Options& options);

}  // namespace moesaic::arch
