// What the families with experts share.
#include <algorithm>
#include <cmath>

#include "arch/family.h"

namespace moesaic::arch {
namespace {

constexpr const char* kLogitScale = "router_logit_scale";
constexpr const char* kRsqrt = "rsqrt_hidden_size";
constexpr const char* kCorrectionBias = "gate.e_score_correction_bias";

}  // namespace

bool Options::is_moe_layer(std::int64_t layer) const {
  if (num_experts == 0 || layer < first_k_dense_replace) return false;
  if ((layer + 1) % decoder_sparse_step != 0) return false;
  return !std::binary_search(mlp_only_layers.begin(), mlp_only_layers.end(), layer);
}

std::int64_t Options::num_moe_layers() const {
  std::int64_t count = 0;
  for (std::int64_t layer = 0; num_experts > 0 && layer < num_hidden_layers; ++layer) {
    count += is_moe_layer(layer) ? 1 : 0;
  }
  return count;
}

void read_experts(ConfigReader& reader, const std::string& key, const std::string& alias,
                  Options& o) {
  const std::int64_t other = reader.size(alias, o.num_experts, kMostExperts);
  o.num_experts = reader.size(key, other, kMostExperts);
  if (reader.has(alias) && other != o.num_experts) {
    reader.error(alias, format("is {}, and {} is {}", other, key, o.num_experts));
  }
  o.num_experts_per_tok = reader.size("num_experts_per_tok", o.num_experts_per_tok, kMostExperts);
  if (o.num_experts_per_tok > o.num_experts) {
    reader.error("num_experts_per_tok", format("is {}, more than the {} experts ({})",
                                               o.num_experts_per_tok, o.num_experts, key));
  }
}

std::int64_t Options::num_routers() const {
  std::int64_t count = num_moe_layers();
  for (std::int64_t depth = 0; num_experts > 0 && depth < num_nextn_predict_layers; ++depth)
    count += is_moe_layer(num_hidden_layers + depth) ? 1 : 0;
  return count;
}

double Options::router_logit_scale() const {
  return rsqrt_router_logits ? 1.0 / std::sqrt(static_cast<double>(hidden_size)) : 1.0;
}

bool Options::has_own_routing() const {
  return router_top_p > 0 || zero_expert_num > 0 ||
         (correction_bias && model_type != kDeepseekV3.model_type);
}

void read_own_routing(ConfigReader& reader, Options& o) {
  if (o.num_experts == 0) return;
  reader.only(kLogitScale, {1, kRsqrt}, format("1 and {} are", kRsqrt));
  o.rsqrt_router_logits = reader.has(kLogitScale) && reader.json().at(kLogitScale) == kRsqrt;
  if (!o.correction_bias) o.correction_bias = reader.flag("use_expert_bias", false);
  o.router_top_p = reader.number("router_top_p", 0.0, 0.0, 1.0);
  o.zero_expert_num = reader.count("zero_expert_num", 0, kMostExperts);
  if (o.zero_expert_num > 0 && o.n_group > 1)
    reader.error("zero_expert_num", "is not defined with groups of experts (n_group)");
}

void write_own_routing(const Options& o, Json& config) {
  if (o.rsqrt_router_logits) config[kLogitScale] = kRsqrt;
  if (o.correction_bias && o.model_type != kDeepseekV3.model_type) config["use_expert_bias"] = true;
  if (o.router_top_p > 0) config["router_top_p"] = o.router_top_p;
  if (o.zero_expert_num > 0) config["zero_expert_num"] = o.zero_expert_num;
}

void warn_balance(ConfigReader& reader, double class_default) {
  const char* key = "router_aux_loss_coef";
  if (reader.number(key, class_default, 0.0, 1e30) == class_default) return;
  reader.warning(key, "has no effect; the recipe's moe.balance.coefficient counts");
}

void add_moe_network(const Options& o, const NetworkNames& names, const std::string& prefix,
                     ParameterTable& table) {
  const std::size_t router = table.size();
  table.push_back(linear(prefix + "gate.weight", o.router_columns(), o.hidden_size));
  if (o.correction_bias) {
    table.push_back(bias(prefix + kCorrectionBias, {o.router_columns()}));
    table.back().trainable = false;
    table.back().correction_bias = true;
  }
  count_as(Group::kRouter, router, table);
  const auto experts = [&](const char* name, std::int64_t out, std::int64_t in) {
    ParameterInfo info = linear(prefix + "experts." + name + ".weight", out, in);
    info.shape.insert(info.shape.begin(), o.num_experts);
    info.scope = Scope::kExpert;
    info.group = Group::kExperts;
    info.flops_per_token *= static_cast<double>(o.num_experts_per_tok);
    table.push_back(std::move(info));
  };
  experts(names.gate, o.moe_intermediate_size, o.hidden_size);
  experts(names.up, o.moe_intermediate_size, o.hidden_size);
  experts(names.down, o.hidden_size, o.moe_intermediate_size);
  if (o.shared_intermediate_size == 0) return;
  const std::size_t shared = table.size();
  add_dense_network(o, prefix + names.shared, o.shared_intermediate_size, table);
  if (o.shared_expert_gate)
    table.push_back(linear(prefix + names.shared_gate + ".weight", 1, o.hidden_size));
  count_as(Group::kShared, shared, table);
}

}  // namespace moesaic::arch
