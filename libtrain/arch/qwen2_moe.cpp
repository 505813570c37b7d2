// Qwen1.5-MoE and Qwen2-MoE: experts beside a gated shared expert. Defaults are those of
// Qwen2MoeConfig in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options read(ConfigReader& reader) {
  Options o;
  o.model_type = "qwen2_moe";
  o.vocab_size = 151936;
  o.hidden_size = 2048;
  o.intermediate_size = 5632;
  o.num_hidden_layers = 24;
  o.num_attention_heads = 16;
  o.num_key_value_heads = 16;
  o.max_position_embeddings = 32768;
  o.num_experts = 60;
  o.num_experts_per_tok = 4;
  o.shared_expert_gate = true;
  read_decoder(reader, {.must_divide = false}, o);
  o.attention_bias = reader.flag("qkv_bias", true);
  read_experts(reader, "num_experts", "num_local_experts", o);
  o.moe_intermediate_size = reader.size("moe_intermediate_size", 1408, kMostWidth);
  o.shared_intermediate_size = reader.size("shared_expert_intermediate_size", 5632, kMostWidth);
  o.norm_topk_prob = reader.flag("norm_topk_prob", o.norm_topk_prob);
  read_sparse_layers(reader, o);
  refuse_sliding_window(reader);
  warn_balance(reader, 0.001);
  return o;
}

void write(const Options& o, Json& config) {
  if (o.head_dim * o.num_attention_heads != o.hidden_size) config["head_dim"] = o.head_dim;
  config["qkv_bias"] = o.attention_bias;
  config["num_experts"] = o.num_experts;
  config["num_experts_per_tok"] = o.num_experts_per_tok;
  config["moe_intermediate_size"] = o.moe_intermediate_size;
  config["shared_expert_intermediate_size"] = o.shared_intermediate_size;
  config["norm_topk_prob"] = o.norm_topk_prob;
  config["decoder_sparse_step"] = o.decoder_sparse_step;
  config["mlp_only_layers"] = o.mlp_only_layers;
  config["use_sliding_window"] = false;
}

}  // namespace

const Family kQwen2Moe = {
    "qwen2_moe", "Qwen2MoeForCausalLM", read, write, {.shared = "shared_expert."}};

}  // namespace moesaic::arch
