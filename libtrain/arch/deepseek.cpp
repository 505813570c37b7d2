// What DeepSeek's families share: latent attention, and experts in groups beside shared experts.
#include "arch/family.h"

namespace moesaic::arch {

void read_latent_attention(ConfigReader& reader, Options& o) {
  o.kv_lora_rank = reader.size("kv_lora_rank", o.kv_lora_rank, kMostWidth);
  // null is a value here: queries are projected at once.
  const bool direct = reader.json().contains("q_lora_rank") && !reader.has("q_lora_rank");
  o.q_lora_rank = direct ? 0 : reader.size("q_lora_rank", o.q_lora_rank, kMostWidth);
  reader.accept({"q_lora_rank"});
  o.qk_nope_head_dim = reader.size("qk_nope_head_dim", o.qk_nope_head_dim, kMostWidth);
  o.qk_rope_head_dim = reader.size("qk_rope_head_dim", o.qk_rope_head_dim, kMostWidth);
  o.v_head_dim = reader.size("v_head_dim", o.v_head_dim, kMostWidth);
  if (o.qk_rope_head_dim % 2 != 0)
    reader.error("qk_rope_head_dim", format("is {}; it must be even", o.qk_rope_head_dim));
  // Transformers derives these two and writes them out.
  reader.accept({"head_dim", "qk_head_dim"});
  o.attention_bias = reader.flag("attention_bias", false);
  o.output_bias = o.attention_bias;
}

namespace {

void read_groups(ConfigReader& reader, Options& o) {
  o.n_group = reader.size("n_group", o.n_group, kMostExperts);
  o.topk_group = reader.size("topk_group", o.topk_group, kMostExperts);
  if (o.num_experts % o.n_group != 0) {
    return reader.error("n_group", format("{} groups do not divide {} experts (n_routed_experts)",
                                          o.n_group, o.num_experts));
  }
  const std::int64_t group = o.num_experts / o.n_group;
  if (o.topk_group > o.n_group) {
    reader.error("topk_group", format("is {}, more than the {} groups", o.topk_group, o.n_group));
  } else if (o.num_experts_per_tok > o.topk_group * group) {
    reader.error("num_experts_per_tok",
                 format("is {}, and {} groups of {} experts are left to choose from",
                        o.num_experts_per_tok, o.topk_group, group));
  }
  if (group < o.group_score_top) {
    reader.error("n_group", format("leaves {} expert in a group; a group's score needs {}", group,
                                   o.group_score_top));
  }
}

}  // namespace

void read_deepseek_experts(ConfigReader& reader, std::int64_t default_shared, Options& o) {
  read_experts(reader, "n_routed_experts", "num_local_experts", o);
  o.moe_intermediate_size =
      reader.size("moe_intermediate_size", o.moe_intermediate_size, kMostWidth);
  // null is a value here, too, as in DeepSeek's code: none.
  const bool none = reader.json().contains("n_shared_experts") && !reader.has("n_shared_experts");
  const std::int64_t shared =
      reader.count("n_shared_experts", none ? 0 : default_shared, kMostExperts);
  o.shared_intermediate_size = shared * o.moe_intermediate_size;
  if (o.shared_intermediate_size > kMostWidth)
    reader.error("n_shared_experts", format("{} is too many", shared));
  o.routed_scaling_factor = reader.positive("routed_scaling_factor", o.routed_scaling_factor);
  o.first_k_dense_replace =
      reader.count("first_k_dense_replace", o.first_k_dense_replace, kMostLayers);
  read_groups(reader, o);
}

void write_deepseek(const Options& o, Json& config) {
  config["attention_bias"] = o.attention_bias;
  config["kv_lora_rank"] = o.kv_lora_rank;
  config["q_lora_rank"] = o.q_lora_rank > 0 ? Json(o.q_lora_rank) : Json(nullptr);
  config["qk_nope_head_dim"] = o.qk_nope_head_dim;
  config["qk_rope_head_dim"] = o.qk_rope_head_dim;
  config["v_head_dim"] = o.v_head_dim;
  config["n_routed_experts"] = o.num_experts;
  config["num_experts_per_tok"] = o.num_experts_per_tok;
  config["moe_intermediate_size"] = o.moe_intermediate_size;
  config["n_shared_experts"] = o.shared_intermediate_size / o.moe_intermediate_size;
  config["norm_topk_prob"] = o.norm_topk_prob;
  config["routed_scaling_factor"] = o.routed_scaling_factor;
  config["first_k_dense_replace"] = o.first_k_dense_replace;
  config["n_group"] = o.n_group;
  config["topk_group"] = o.topk_group;
  config["scoring_func"] = o.scoring_func;
  config["moe_layer_freq"] = 1;
  config["pretraining_tp"] = 1;
}

void add_latent_attention(const Options& o, const std::string& prefix, ParameterTable& table) {
  const auto project = [&](const char* name, std::int64_t out, std::int64_t in, bool has_bias) {
    table.push_back(linear(prefix + name + ".weight", out, in));
    if (has_bias) table.push_back(bias(prefix + name + ".bias", {out}));
  };
  const std::int64_t query = o.num_attention_heads * o.query_head_dim();
  if (o.q_lora_rank > 0) {
    project("q_a_proj", o.q_lora_rank, o.hidden_size, o.attention_bias);
    table.push_back(norm(prefix + "q_a_layernorm.weight", o.q_lora_rank));
    project("q_b_proj", query, o.q_lora_rank, false);
  } else {
    project("q_proj", query, o.hidden_size, false);
  }
  project("kv_a_proj_with_mqa", o.kv_lora_rank + o.qk_rope_head_dim, o.hidden_size,
          o.attention_bias);
  table.push_back(norm(prefix + "kv_a_layernorm.weight", o.kv_lora_rank));
  project("kv_b_proj", o.num_attention_heads * (o.qk_nope_head_dim + o.v_head_dim), o.kv_lora_rank,
          false);
  project("o_proj", o.hidden_size, o.num_attention_heads * o.v_head_dim, o.output_bias);
}

}  // namespace moesaic::arch
