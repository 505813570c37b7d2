// DeepSeek-V2 (arXiv 2405.04434). Defaults are those of DeepseekV2Config in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options defaults_of_deepseek_v2() {
  Options o;
  o.model_type = "deepseek_v2";
  o.vocab_size = 102400;
  o.hidden_size = 4096;
  o.intermediate_size = 11008;
  o.num_hidden_layers = 32;
  o.num_attention_heads = 32;
  o.max_position_embeddings = 2048;
  o.kv_lora_rank = 512;
  o.q_lora_rank = 1536;
  o.qk_nope_head_dim = 128;
  o.qk_rope_head_dim = 64;
  o.v_head_dim = 128;
  o.rope.interleaved = true;
  o.num_experts = 64;
  o.moe_intermediate_size = 1407;
  return o;
}

Options read_deepseek_v2(ConfigReader& reader) {
  Options o = defaults_of_deepseek_v2();
  read_latent_attention(reader, o);
  read_decoder(reader, {}, o);
  if (!reader.has("num_experts_per_tok")) {
    o.num_experts_per_tok = 1;
    reader.error("num_experts_per_tok", "is missing; this family has no default");
  }
  const std::string method =
      reader.choice("topk_method", {"greedy", "group_limited_greedy"}, "greedy");
  const bool grouped = method == "group_limited_greedy";
  for (const char* key : {"n_group", "topk_group"}) {
    if (grouped && !reader.has(key)) reader.error(key, "is missing; group_limited_greedy needs it");
  }
  read_deepseek_experts(reader, 2, o);
  if (!grouped) o.n_group = o.topk_group = 1;  // as in Transformers, greedy knows no groups
  o.mlp_bias = reader.flag("mlp_bias", false);
  reader.only("scoring_func", {"softmax"}, "deepseek_v2 has softmax scores");
  reader.only("norm_topk_prob", {false},
              "DeepSeek's code normalises and then does not scale, Transformers ignores the key");
  return o;
}

void write_deepseek_v2(const Options& o, Json& config) {
  write_deepseek(o, config);
  config["mlp_bias"] = o.mlp_bias;
  config["topk_method"] = o.n_group > 1 ? "group_limited_greedy" : "greedy";
}

}  // namespace

const Family kDeepseekV2 = {"deepseek_v2", "DeepseekV2ForCausalLM",
                            read_deepseek_v2, write_deepseek_v2, {}};

}  // namespace moesaic::arch
