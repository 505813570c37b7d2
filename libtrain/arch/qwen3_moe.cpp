// Qwen3-MoE: Qwen3's attention with experts, in all layers or some. Defaults are those of
// Qwen3MoeConfig in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options read_qwen3_moe(ConfigReader& reader) {
  Options o;
  o.model_type = "qwen3_moe";
  o.vocab_size = 151936;
  o.hidden_size = 2048;
  o.intermediate_size = 6144;
  o.num_hidden_layers = 24;
  o.num_attention_heads = 32;
  o.num_key_value_heads = 4;
  o.max_position_embeddings = 32768;
  o.qk_norm = QkNorm::kEachHead;
  o.num_experts = 128;
  o.num_experts_per_tok = 8;
  read_decoder(reader, {.must_divide = false}, o);
  read_attention_bias(reader, o);
  read_qwen_experts(reader, 768, o);
  read_sliding_window(reader, true, o);
  return o;
}

void write_qwen3_moe(const Options& o, Json& config) {
  config["head_dim"] = o.head_dim;
  config["attention_bias"] = o.attention_bias;
  write_qwen_experts(o, config);
  config["use_sliding_window"] = false;
}

}  // namespace

const Family kQwen3Moe = {"qwen3_moe", "Qwen3MoeForCausalLM", read_qwen3_moe, write_qwen3_moe, {}};

}  // namespace moesaic::arch
