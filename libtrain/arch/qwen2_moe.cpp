// Qwen1.5-MoE and Qwen2-MoE: experts beside a gated shared expert. Defaults are those of
// Qwen2MoeConfig in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options read_qwen2_moe(ConfigReader& reader) {
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
  read_qwen_experts(reader, 1408, o);
  o.shared_intermediate_size = reader.count("shared_expert_intermediate_size", 5632, kMostWidth);
  read_sliding_window(reader, true, o);
  return o;
}

void write_qwen2_moe(const Options& o, Json& config) {
  if (o.head_dim * o.num_attention_heads != o.hidden_size) config["head_dim"] = o.head_dim;
  config["qkv_bias"] = o.attention_bias;
  write_qwen_experts(o, config);
  config["shared_expert_intermediate_size"] = o.shared_intermediate_size;
  config["use_sliding_window"] = false;
}

}  // namespace

const Family kQwen2Moe = {
    "qwen2_moe", "Qwen2MoeForCausalLM", read_qwen2_moe, write_qwen2_moe,
    {.shared = "shared_expert."}};

}  // namespace moesaic::arch
