// What Qwen's families share: experts in some layers, and a sliding window that must be off.
#include <algorithm>

#include "arch/family.h"

namespace moesaic::arch {

void refuse_sliding_window(ConfigReader& reader) {
  reader.only("use_sliding_window", {false}, "attention covers the whole sequence");
  reader.accept({"sliding_window", "max_window_layers", "layer_types"});
  if (!reader.has("layer_types")) return;
  const Json& types = reader.json().at("layer_types");
  const bool full = types.is_array() && std::all_of(types.begin(), types.end(), [](const Json& t) {
                      return t == "full_attention";
                    });
  if (!full) reader.error("layer_types", "only full_attention is supported");
}

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
