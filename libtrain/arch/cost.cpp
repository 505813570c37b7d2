#include "arch/cost.h"

#include <algorithm>
#include <map>

#include "arch/activations.h"
#include "core/error.h"

namespace moesaic::arch {
namespace {

// Programs, libraries, their caches and the compiled products of a rank that trains.
constexpr double kProcessBytes = 170e6;

double real(std::int64_t value) { return static_cast<double>(value); }

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
  return 2.0 * bytes * real(ranks - 1) / real(ranks);
}

double ranks_of(const ParameterInfo& info, const CostOptions& s) {
  return info.scope == Scope::kExpert ? real(s.expert) : 1.0;
}

double stored_bytes(const ParameterTable& table, const CostOptions& s) {
  double bytes = 0;
  for (const ParameterInfo& info : table) bytes += bytes_on_a_rank(info, s);
  return bytes;
}

// The largest copy of a frozen weight: they are made for each use, where the products need other
// numbers than are kept. Experts are converted one by one.
double passing_copy_bytes(const ParameterTable& table, const CostOptions& s) {
  double most = 0;
  for (const ParameterInfo& info : table) {
    if (info.trainable || info.flops_per_token == 0 || info.group == Group::kRouter) continue;
    const bool masters = info.storage == Storage::kMaster;
    if (masters && s.compute_bytes >= s.master_bytes) continue;
    const bool expert = info.scope == Scope::kExpert;
    most = std::max(most, real(expert ? info.numel() / info.shape[0] : info.numel()));
  }
  return most * real(s.compute_bytes);
}

// Of a run with adapters a checkpoint holds these and what is trained; of none a quantised weight.
double saved_values(const ParameterTable& table, const CostOptions& s) {
  const bool part = std::any_of(table.begin(), table.end(),
                                [](const ParameterInfo& info) { return info.adapter; });
  double values = 0;
  for (const ParameterInfo& info : table)
    if (info.storage == Storage::kMaster && (!part || info.adapter || info.trainable))
      values += values_on_a_rank(info, s);
  return values;
}

// Values that have a copy in the compute dtype: weights of products that are trained. Those of
// norms have none; a router's are few.
double copied_values(const ParameterTable& table, const CostOptions& s) {
  double values = 0;
  for (const ParameterInfo& info : table) {
    if (info.flops_per_token == 0 || !info.trainable) continue;
    if (info.scope == Scope::kExpert && !s.expert_copies) continue;
    values += values_on_a_rank(info, s);
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
    const double held = values_on_a_rank(info, s);
    const double updated = s.shard_optimizer ? real(info.numel()) / real(s.ranks) : held;
    const bool adapted = i + 1 < table.size() && table[i + 1].adapter;  // its factors follow it
    if (info.trainable) values += real(s.remembered) * updated;
    if (adapted) values += real(s.remembered_of_adapted) * held;
    if (s.old_model) values += held;
  }
  return values * real(s.master_bytes);
}

void count_memory(const Options& o, const ParameterTable& table, const CostOptions& s, Cost& cost) {
  const double trained = real(cost.rank_trainable_parameters);
  const bool narrower = s.compute_bytes < s.master_bytes;
  const double copied = narrower ? copied_values(table, s) : 0.0;
  cost.parameter_bytes = stored_bytes(table, s) + copied * real(s.compute_bytes);
  cost.gradient_bytes = trained * real(s.master_bytes);
  // A share is even but for a digest block.
  const double updated =
      s.shard_optimizer ? real(cost.trainable_parameters) / real(s.ranks) : trained;
  cost.optimizer_bytes = updated * real(s.optimizer_moments * s.master_bytes);
  cost.remembered_bytes = remembered_bytes(table, s);
  if (s.async_checkpoint) {
    cost.snapshot_bytes = saved_values(table, s) * real(s.master_bytes) + cost.optimizer_bytes +
                          cost.remembered_bytes;
  }
  cost.activation_bytes = passing_copy_bytes(table, s) +
                          activation_peak(o, activation_sizes(s), training_of_layers(o, table));
  cost.process_bytes = kProcessBytes;
}

void count_traffic(const Options& o, const CostOptions& s, const Counts& counts, Cost& cost) {
  const double expert = real(counts.expert) / real(s.expert);
  cost.all_reduce_bytes = ring_bytes(real(counts.dense * s.master_bytes), s.ranks) +
                          ring_bytes(expert * real(s.master_bytes), s.ranks / s.expert);
  // The owner of rows takes in those of all others at once; they pile up, since a rank owns
  // parameters that follow each other. (An all-reduce spreads the same bytes over all of backward.)
  if (s.shard_optimizer && s.host_reduction) cost.reduction_bytes = cost.all_reduce_bytes / 2;
  const double away =
      real(s.expert - 1) / real(s.expert);  // share of the tokens that another rank's expert takes
  const double tokens = real(cost.tokens) / real(s.ranks) * real(o.num_experts_per_tok) * away;
  const double passes = s.checkpoint_activations ? 6.0 : 4.0;  // dispatch and combine, each way
  cost.all_to_all_bytes =
      passes * tokens * real(o.hidden_size) * real(s.compute_bytes) * real(o.num_routers());
}

// Forward, of one token through a product.
double product_flops(const Options& o, const ParameterInfo& info, double active_experts) {
  const double met = active_experts < 0 ? 1.0 : active_experts / real(o.num_experts_per_tok);
  return info.flops_per_token * (info.scope == Scope::kExpert ? met : 1.0);
}

// Forward, of one token in a layer: scores and weighted sum.
double attention_flops(const Options& o, std::int64_t sequence_length) {
  return 2.0 * real(o.num_attention_heads * (o.query_head_dim() + o.value_head_dim())) *
         (real(sequence_length) + 1.0) / 2.0;
}

}  // namespace

double forward_flops_per_token(const Options& o, const ParameterTable& table,
                               std::int64_t sequence_length, double active_experts) {
  double weights = 0;
  for (const ParameterInfo& info : table) weights += product_flops(o, info, active_experts);
  return weights + attention_flops(o, sequence_length) *
                       real(o.num_hidden_layers + o.num_nextn_predict_layers);
}

double attention_training_flops(const Options& o, const ParameterTable& table,
                                std::int64_t sequence_length) {
  double flops = 0;
  for (const LayerTraining& layer : training_of_layers(o, table))
    flops += attention_flops(o, sequence_length) * (layer.attention() ? 3 : 1);
  return flops;
}

double training_flops_per_token(const Options& o, const ParameterTable& table,
                                std::int64_t sequence_length, double active_experts) {
  double flops = attention_training_flops(o, table, sequence_length);
  for (const ParameterInfo& info : table) flops += product_flops(o, info, active_experts);
  bool reached = false;  // something before is trained; maps that share an input count as a row
  for (const ParameterInfo& info : table) {
    const double product = product_flops(o, info, active_experts);
    // The gradient of what the head reads comes with the loss; tied, it is the embedding.
    const bool all = info.group == Group::kHead || info.group == Group::kEmbedding;
    flops += product * ((reached || all ? 1 : 0) + (info.trainable ? 1 : 0));
    reached = reached || info.trainable;
  }
  return flops;
}

double values_on_a_rank(const ParameterInfo& info, const CostOptions& s) {
  return real(info.numel()) / ranks_of(info, s);
}

double bytes_on_a_rank(const ParameterInfo& info, const CostOptions& s) {
  return real(info.bytes(s.master_bytes)) / ranks_of(info, s);
}

ActivationOptions activation_sizes(const CostOptions& s) {
  return {.tokens = real(s.micro_batch_size * s.sequence_length),
          .master_bytes = real(s.master_bytes),
          .compute_bytes = real(s.compute_bytes),
          .split_experts = s.expert > 1,
          .recomputed = s.checkpoint_activations,
          .missing_experts = s.missing_experts,
          .adapter_dropout = s.adapter_dropout,
          .whole_scores = s.whole_scores ? real(s.sequence_length) : 0.0};
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
  cost.flops_per_token = training_flops_per_token(options, table, s.sequence_length);
  cost.step_flops = cost.flops_per_token * real(cost.tokens);
  count_memory(options, table, s, cost);
  count_traffic(options, s, trained, cost);
  // Gradients and moments have room for all experts of a weight, though few of them are trained.
  cost.trainable_parameters = 0;
  for (const ParameterInfo& info : table) cost.trainable_parameters += info.trainable_numel();
  return cost;
}

std::vector<GroupCount> count_groups(const ParameterTable& table) {
  std::map<Group, GroupCount> counts;
  for (const ParameterInfo& info : table) {
    GroupCount& count = counts[info.group];
    count.group = info.group;
    count.parameters += info.numel();
    count.trainable += info.trainable_numel();
  }
  std::vector<GroupCount> groups;
  for (const auto& [group, count] : counts) groups.push_back(count);
  return groups;
}

}  // namespace moesaic::arch
