// Mixtral (Jiang et al. 2024, arXiv 2401.04088). Defaults are those of MixtralConfig in
// Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options read_mixtral(ConfigReader& reader) {
  Options o;
  o.model_type = "mixtral";
  o.vocab_size = 32000;
  o.hidden_size = 4096;
  o.intermediate_size = 14336;
  o.num_hidden_layers = 32;
  o.num_attention_heads = 32;
  o.num_key_value_heads = 8;
  o.max_position_embeddings = 4096 * 32;
  o.rms_norm_eps = 1e-5;
  o.rope.theta = 1e6;
  o.num_experts = 8;
  o.num_experts_per_tok = 2;
  o.norm_topk_prob = true;
  read_decoder(reader, {.must_divide = false}, o);
  o.moe_intermediate_size = o.intermediate_size;
  read_experts(reader, "num_local_experts", "num_experts", o);
  warn_balance(reader, 0.001);
  return o;
}

void write_mixtral(const Options& o, Json& config) {
  config["head_dim"] = o.head_dim;
  config["num_local_experts"] = o.num_experts;
  config["num_experts_per_tok"] = o.num_experts_per_tok;
  config["sliding_window"] = nullptr;
}

}  // namespace

const Family kMixtral = {"mixtral",
                         "MixtralForCausalLM",
                         read_mixtral,
                         write_mixtral,
                         {.block = "block_sparse_moe.", .gate = "w1", .up = "w3", .down = "w2"}};

}  // namespace moesaic::arch
