#include "arch/cost.h"

#include <map>

#include "arch/activations.h"
#include "core/error.h"

namespace moesaic::arch {
namespace {

// Programs, libraries, their caches and the compiled products of a rank that trains.
constexpr double kProcessBytes = 170e6;

double d(std::int64_t value) { return static_cast<double>(value); }

struct Counts {
  std::int64_t dense = 0;
  std::int64_t expert = 0;  // of all experts

  std::int64_t all() const { return dense + expert; }
  std::int64_t on_a_rank(std::int64_t expert_ranks) const { return dense + expert / expert_ranks; }
};

Counts count(const ParameterTable& table, bool trainable_only) {
  Counts counts;
  for (const ParameterInfo& info : table) {
    if (trainable_only && !info.trainable) continue;
    (info.scope == Scope::kExpert ? counts.expert : counts.dense) += info.numel();
  }
  return counts;
}

// A ring reduces in two passes, each of which sends (n-1)/n of the buffer.
double ring_bytes(double bytes, std::int64_t ranks) {
  return 2.0 * bytes * d(ranks - 1) / d(ranks);
}

// Values that have a copy in the compute dtype: weights of products that are trained. Those of
// norms have none; a router's are few.
double copied_values(const ParameterTable& table, const CostOptions& s) {
  double values = 0;
  for (const ParameterInfo& info : table) {
    if (info.flops_per_token == 0 || !info.trainable) continue;
    if (info.scope == Scope::kExpert && !s.expert_copies) continue;
    values += d(info.numel()) / (info.scope == Scope::kExpert ? d(s.expert) : 1.0);
  }
  return values;
}

// What is kept of earlier learning: shared out as the optimizer's state is, but for what is kept of
// weights with an adapter.
double remembered_bytes(const ParameterTable& table, const CostOptions& s) {
  double values = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const ParameterInfo& info = table[i];
    if (info.adapter) continue;
    const double held = d(info.numel()) / (info.scope == Scope::kExpert ? d(s.expert) : 1.0);
    const double updated = s.shard_optimizer ? d(info.numel()) / d(s.ranks) : held;
    const bool adapted = i + 1 < table.size() && table[i + 1].adapter;  // its factors follow it
    if (info.trainable) values += d(s.remembered) * updated;
    if (adapted) values += d(s.remembered_of_adapted) * held;
    if (s.old_model) values += held;
  }
  return values * d(s.master_bytes);
}

void count_memory(const Options& o, const ParameterTable& table, const CostOptions& s, Cost& cost) {
  const double held = d(cost.rank_parameters), trained = d(cost.rank_trainable_parameters);
  const double copied = s.compute_bytes < s.master_bytes ? copied_values(table, s) : 0.0;
  cost.parameter_bytes = held * d(s.master_bytes) + copied * d(s.compute_bytes);
  cost.gradient_bytes = trained * d(s.master_bytes);
  // A share is even but for a digest block.
  const double updated = s.shard_optimizer ? d(cost.trainable_parameters) / d(s.ranks) : trained;
  cost.optimizer_bytes = updated * d(s.optimizer_moments * s.master_bytes);
  cost.remembered_bytes = remembered_bytes(table, s);
  if (s.async_checkpoint) {
    cost.snapshot_bytes =
        held * d(s.master_bytes) + cost.optimizer_bytes + cost.remembered_bytes;
  }
  cost.activation_bytes =
      activation_peak(o, {.tokens = d(s.micro_batch_size) * d(s.sequence_length),
                          .master_bytes = d(s.master_bytes),
                          .compute_bytes = d(s.compute_bytes),
                          .split_experts = s.expert > 1,
                          .recomputed = s.checkpoint_activations,
                          .missing_experts = s.missing_experts});
  cost.process_bytes = kProcessBytes;
}

void count_traffic(const Options& o, const CostOptions& s, const Counts& counts, Cost& cost) {
  const double expert = d(counts.expert) / d(s.expert);
  cost.all_reduce_bytes = ring_bytes(d(counts.dense * s.master_bytes), s.ranks) +
                          ring_bytes(expert * d(s.master_bytes), s.ranks / s.expert);
  const double away =
      d(s.expert - 1) / d(s.expert);  // share of the tokens that another rank's expert takes
  const double tokens = d(cost.tokens) / d(s.ranks) * d(o.num_experts_per_tok) * away;
  constexpr double kPasses = 4.0;  // dispatch and combine, forward and backward
  cost.all_to_all_bytes =
      kPasses * tokens * d(o.hidden_size) * d(s.compute_bytes) * d(o.num_routers());
}

}  // namespace

double forward_flops_per_token(const Options& o, const ParameterTable& table,
                               std::int64_t sequence_length, double active_experts) {
  const double met = active_experts < 0 ? 1.0 : active_experts / d(o.num_experts_per_tok);
  double weights = 0;
  for (const ParameterInfo& info : table)
    weights += info.flops_per_token * (info.scope == Scope::kExpert ? met : 1.0);
  const double attention = 2.0 *
                           d(o.num_attention_heads * (o.query_head_dim() + o.value_head_dim())) *
                           (d(sequence_length) + 1.0) / 2.0;
  return weights + attention * d(o.num_hidden_layers + o.num_nextn_predict_layers);
}

Cost cost_of(const Options& options, const ParameterTable& table, const CostOptions& s) {
  MOESAIC_ASSERT(s.ranks % s.expert == 0 && s.global_batch_size % s.micro_batch_size == 0);
  MOESAIC_ASSERT(s.expert == 1 || (options.num_experts > 0 && options.num_experts % s.expert == 0));
  const Counts counts = count(table, false), trained = count(table, true);
  Cost cost;
  cost.parameters = counts.all();
  cost.active_parameters = counts.dense;
  cost.rank_parameters = counts.on_a_rank(s.expert);
  cost.trainable_parameters = trained.all();
  cost.rank_trainable_parameters = trained.on_a_rank(s.expert);
  if (options.is_moe()) {
    cost.active_parameters += counts.expert / options.num_experts * options.num_experts_per_tok;
  }
  cost.micro_batches = s.global_batch_size / s.micro_batch_size;
  cost.rounds = (cost.micro_batches + s.ranks - 1) / s.ranks;
  cost.tokens = s.global_batch_size * s.sequence_length;
  cost.flops_per_token = 3.0 * forward_flops_per_token(options, table, s.sequence_length);
  cost.step_flops = cost.flops_per_token * d(cost.tokens);
  count_memory(options, table, s, cost);
  count_traffic(options, s, trained, cost);
  return cost;
}

std::vector<GroupCount> count_groups(const ParameterTable& table) {
  std::map<Group, GroupCount> counts;
  for (const ParameterInfo& info : table) {
    GroupCount& count = counts[info.group];
    count.group = info.group;
    count.parameters += info.numel();
    count.trainable += info.trainable ? info.numel() : 0;
  }
  std::vector<GroupCount> groups;
  for (const auto& [group, count] : counts) groups.push_back(count);
  return groups;
}

}  // namespace moesaic::arch
