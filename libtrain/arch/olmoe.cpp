// OLMoE (Muennighoff et al., "OLMoE: Open Mixture-of-Experts Language Models", 2024). Defaults are
// those of OlmoeConfig in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options defaults() {
  Options o;
  o.model_type = "olmoe";
  o.vocab_size = 50304;
  o.hidden_size = 2048;
  o.intermediate_size = 2048;
  o.num_hidden_layers = 16;
  o.num_attention_heads = 16;
  o.max_position_embeddings = 4096;
  o.rms_norm_eps = 1e-5;
  o.qk_norm = true;
  o.num_experts = 64;
  o.num_experts_per_tok = 8;
  return o;
}

Options read(ConfigReader& reader) {
  Options o = defaults();
  read_decoder(reader, o);
  if (reader.has("head_dim") && o.head_dim * o.num_attention_heads != o.hidden_size) {
    reader.error("head_dim",
                 format("is {}; an olmoe head is hidden_size / num_attention_heads = {} wide",
                        o.head_dim, o.hidden_size / o.num_attention_heads));
  }
  o.clip_qkv = reader.has("clip_qkv") ? reader.positive("clip_qkv", 0.0) : 0.0;
  reader.accept({"clip_qkv"});
  // Transformers knows the number of experts under two names.
  const std::int64_t alias = reader.size("num_local_experts", o.num_experts, kMostExperts);
  o.num_experts = reader.size("num_experts", alias, kMostExperts);
  if (reader.has("num_local_experts") && alias != o.num_experts) {
    reader.error("num_local_experts", format("is {}, and num_experts is {}", alias, o.num_experts));
  }
  o.num_experts_per_tok = reader.size("num_experts_per_tok", o.num_experts_per_tok, kMostExperts);
  if (o.num_experts_per_tok > o.num_experts) {
    reader.error("num_experts_per_tok", format("is {}, more than the {} experts (num_experts)",
                                               o.num_experts_per_tok, o.num_experts));
  }
  o.norm_topk_prob = reader.flag("norm_topk_prob", o.norm_topk_prob);
  reader.only("mlp_bias", {false}, "olmoe experts have no bias");
  constexpr double kDefaultBalance = 0.01;
  if (reader.number("router_aux_loss_coef", kDefaultBalance, 0.0, 1e30) != kDefaultBalance) {
    reader.warning("router_aux_loss_coef",
                   "has no effect; the recipe's moe.balance.coefficient counts");
  }
  return o;
}

void write(const Options& o, Json& config) {
  config["clip_qkv"] = o.clip_qkv > 0 ? Json(o.clip_qkv) : Json(nullptr);
  config["num_experts"] = o.num_experts;
  config["num_experts_per_tok"] = o.num_experts_per_tok;
  config["norm_topk_prob"] = o.norm_topk_prob;
}

void mlp(const Options& o, const std::string& prefix, std::vector<ParameterInfo>& table) {
  table.push_back(linear(prefix + "gate.weight", o.num_experts, o.hidden_size));
  const auto experts = [&](const char* name, std::int64_t out, std::int64_t in) {
    ParameterInfo info = linear(prefix + "experts." + name + ".weight", out, in);
    info.shape.insert(info.shape.begin(), o.num_experts);
    info.scope = Scope::kExpert;
    info.flops_per_token *= static_cast<double>(o.num_experts_per_tok);
    table.push_back(std::move(info));
  };
  experts("gate_proj", o.intermediate_size, o.hidden_size);
  experts("up_proj", o.intermediate_size, o.hidden_size);
  experts("down_proj", o.hidden_size, o.intermediate_size);
}

}  // namespace

const Family kOlmoe = {"olmoe", "OlmoeForCausalLM", read, write, mlp};

}  // namespace moesaic::arch
