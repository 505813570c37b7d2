#include "arch/generation.h"

#include <algorithm>

namespace moesaic::arch {
namespace {

double as_real(std::int64_t value) { return static_cast<double>(value); }

// Values of a token and layer in the cache.
std::int64_t cached_values(const Options& o) {
  if (o.is_mla()) return o.kv_lora_rank + o.qk_rope_head_dim;
  return o.num_key_value_heads * (o.query_head_dim() + o.value_head_dim());
}

// The experts of a token on the rank that has most of them, over all experts.
double share_of_experts(const Options& o, std::int64_t ranks) {
  const std::int64_t met = (o.num_experts_per_tok + ranks - 1) / ranks;
  return as_real(met) / as_real(o.num_experts);
}

double prompt_bytes(const Options& o, const GenerationSizes& s) {
  const ActivationOptions sizes{.tokens = as_real(s.prompt_tokens),
                                .compute_bytes = as_real(s.compute_bytes),
                                .split_experts = s.ranks > 1};
  double most = 0;
  for (std::int64_t layer = 0; layer < o.num_hidden_layers; ++layer) {
    double values = 0;
    for (const Kept& kept : kept_by_attention(o, sizes)) values += kept.bytes;
    for (const Kept& kept : kept_by_network(o, sizes, layer)) values += kept.bytes;
    most = std::max(most, values);
  }
  // Keys and values of a layer once more, in float32, which their products are summed in.
  return sizes.tokens * most + as_real(s.sequence_length * cached_values(o)) * 4;
}

}  // namespace

double cache_bytes(const Options& o, std::int64_t tokens, std::int64_t value_bytes) {
  return as_real(o.num_hidden_layers * tokens) * as_real(cached_values(o) * value_bytes);
}

Cost generation_cost(const Options& o, const ParameterTable& table, const GenerationSizes& s) {
  CostOptions sizes;
  sizes.ranks = sizes.expert = s.ranks;
  sizes.global_batch_size = s.ranks;
  if (!o.is_moe()) sizes.expert = 1;
  Cost cost = cost_of(o, table, sizes);
  cost.parameter_bytes = as_real(cost.rank_parameters * s.weight_bytes);
  cost.gradient_bytes = cost.optimizer_bytes = 0;
  cost.activation_bytes = cache_bytes(o, s.sequence_length, s.compute_bytes) + prompt_bytes(o, s);
  cost.all_reduce_bytes = 0;
  return cost;
}

StepTime token_time(const Options& o, const ParameterTable& table, const GenerationSizes& s,
                    const Device& device) {
  double read = cache_bytes(o, s.sequence_length, s.compute_bytes);
  for (const ParameterInfo& info : table) {
    if (info.flops_per_token == 0) continue;
    const double met = info.scope == Scope::kExpert ? share_of_experts(o, s.ranks) : 1.0;
    read += as_real(info.numel() * s.weight_bytes) * met;
  }
  // Each token sees all that are in the cache, twice what a sequence of that length has on average.
  const double flops = forward_flops_per_token(o, table, 2 * s.sequence_length);
  StepTime time;
  time.products =
      std::max(flops / device.product_rate(s.compute_bytes), read / device.memory_rate());
  if (s.ranks > 1 && o.is_moe()) {
    const double rows = 2 * as_real(o.num_experts_per_tok * o.num_routers());
    const double rate = s.ranks > device.per_node ? device.network_rate() : device.node_rate();
    time.exposed = rows * as_real(o.hidden_size * s.compute_bytes) / rate;
  }
  return time;
}

}  // namespace moesaic::arch
