// DeepSeek-V3 and R1 (arXiv 2412.19437). Defaults are those of DeepseekV3Config in Transformers
// 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options defaults_of_deepseek_v3() {
  Options o;
  o.model_type = "deepseek_v3";
  o.vocab_size = 129280;
  o.hidden_size = 7168;
  o.intermediate_size = 18432;
  o.num_hidden_layers = 61;
  o.num_attention_heads = 128;
  o.num_key_value_heads = 128;
  o.max_position_embeddings = 4096;
  o.kv_lora_rank = 512;
  o.q_lora_rank = 1536;
  o.qk_nope_head_dim = 128;
  o.qk_rope_head_dim = 64;
  o.v_head_dim = 128;
  o.num_experts = 256;
  o.num_experts_per_tok = 8;
  o.moe_intermediate_size = 2048;
  o.scoring_func = "sigmoid";
  o.correction_bias = true;
  o.norm_topk_prob = true;
  o.n_group = 8;
  o.topk_group = 4;
  o.group_score_top = 2;
  o.routed_scaling_factor = 2.5;
  o.first_k_dense_replace = 3;
  return o;
}

Options read_deepseek_v3(ConfigReader& reader) {
  Options o = defaults_of_deepseek_v3();
  read_latent_attention(reader, o);
  read_decoder(reader, {.must_divide = false}, o);
  read_deepseek_experts(reader, 1, o);
  o.rope.interleaved = reader.flag("rope_interleave", true);
  o.norm_topk_prob = reader.flag("norm_topk_prob", o.norm_topk_prob);
  reader.only("scoring_func", {"sigmoid"}, "deepseek_v3 has sigmoid scores");
  reader.only("topk_method", {"noaux_tc"}, "deepseek_v3 chooses by corrected scores");
  const char* name = reader.has("num_mtp_layers") ? "num_mtp_layers" : "num_nextn_predict_layers";
  reader.accept({"num_mtp_layers", "num_nextn_predict_layers"});
  o.num_nextn_predict_layers = reader.count(name, 0, kMostPredictionLayers);
  return o;
}

void write_deepseek_v3(const Options& o, Json& config) {
  write_deepseek(o, config);
  config["rope_interleave"] = o.rope.interleaved;
  config["topk_method"] = "noaux_tc";
  config["num_nextn_predict_layers"] = o.num_nextn_predict_layers;
}

}  // namespace

const Family kDeepseekV3 = {"deepseek_v3", "DeepseekV3ForCausalLM",
                            read_deepseek_v3, write_deepseek_v3, {}};

}  // namespace moesaic::arch
