// OLMoE (Muennighoff et al., "OLMoE: Open Mixture-of-Experts Language Models", 2024). Defaults are
// those of OlmoeConfig in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options read_olmoe(ConfigReader& reader) {
  Options o;
  o.model_type = "olmoe";
  o.vocab_size = 50304;
  o.hidden_size = 2048;
  o.intermediate_size = 2048;
  o.num_hidden_layers = 16;
  o.num_attention_heads = 16;
  o.max_position_embeddings = 4096;
  o.rms_norm_eps = 1e-5;
  o.qk_norm = QkNorm::kAllHeads;
  o.num_experts = 64;
  o.num_experts_per_tok = 8;
  read_decoder(reader, {.configurable = false}, o);
  read_attention_bias(reader, o);
  o.moe_intermediate_size = o.intermediate_size;
  o.clip_qkv = reader.has("clip_qkv") ? reader.positive("clip_qkv", 0.0) : 0.0;
  reader.accept({"clip_qkv"});
  read_experts(reader, "num_experts", "num_local_experts", o);
  o.norm_topk_prob = reader.flag("norm_topk_prob", o.norm_topk_prob);
  warn_balance(reader, 0.01);
  return o;
}

void write_olmoe(const Options& o, Json& config) {
  config["attention_bias"] = o.attention_bias;
  config["clip_qkv"] = o.clip_qkv > 0 ? Json(o.clip_qkv) : Json(nullptr);
  config["num_experts"] = o.num_experts;
  config["num_experts_per_tok"] = o.num_experts_per_tok;
  config["norm_topk_prob"] = o.norm_topk_prob;
}

}  // namespace

const Family kOlmoe = {"olmoe", "OlmoeForCausalLM", read_olmoe, write_olmoe, {}};

}  // namespace moesaic::arch
