// What Qwen's families with experts share: they are in some layers.
#include "arch/family.h"

namespace moesaic::arch {

void read_qwen_experts(ConfigReader& reader, std::int64_t default_width, Options& o) {
  read_experts(reader, "num_experts", "num_local_experts", o);
  o.moe_intermediate_size = reader.size("moe_intermediate_size", default_width, kMostWidth);
  o.norm_topk_prob = reader.flag("norm_topk_prob", o.norm_topk_prob);
  o.decoder_sparse_step = reader.size("decoder_sparse_step", 1, kMostLayers);
  o.mlp_only_layers = reader.sizes("mlp_only_layers", kMostLayers);
  warn_balance(reader, 0.001);
}

void write_qwen_experts(const Options& o, Json& config) {
  config["num_experts"] = o.num_experts;
  config["num_experts_per_tok"] = o.num_experts_per_tok;
  config["moe_intermediate_size"] = o.moe_intermediate_size;
  config["norm_topk_prob"] = o.norm_topk_prob;
  config["decoder_sparse_step"] = o.decoder_sparse_step;
  config["mlp_only_layers"] = o.mlp_only_layers;
}

}  // namespace moesaic::arch
