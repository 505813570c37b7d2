#include "arch/step_time.h"

#include <algorithm>

namespace moesaic::arch {
namespace {

double number(std::int64_t value) { return static_cast<double>(value); }

bool is_converted(const ParameterInfo& info, const CostOptions& s) {
  if (info.trainable || info.flops_per_token == 0) return false;  // those have copies
  if (info.storage == Storage::kMaster) return s.compute_bytes < s.master_bytes;
  return info.storage != Storage::kBfloat16 || s.compute_bytes != 2;
}

// How often a weight is used in a round: forward, for the gradient of its input, and recomputed.
double uses_of_weights(const CostOptions& s) { return s.checkpoint_activations ? 3 : 2; }

// Of a round: weights as the products read them.
double weight_bytes(const ParameterTable& table, const CostOptions& s) {
  double bytes = 0;
  for (const ParameterInfo& info : table)
    if (info.flops_per_token > 0) bytes += values_on_a_rank(info, s) * number(s.compute_bytes);
  return bytes * uses_of_weights(s);
}

// Of a token and layer, passes over scores that exist as a whole.
double score_bytes(const Options& o, const CostOptions& s, bool backward) {
  if (!s.whole_scores) return 0;
  constexpr double kForward = 8, kBackward = 22;
  const double again = s.checkpoint_activations ? kForward : 0.0;
  return number(o.num_attention_heads * s.sequence_length * s.compute_bytes) *
         (kForward + (backward ? kBackward + again : 0.0));
}

// Of a round: gradients that are added up, weights that are converted, values of the layers.
double round_bytes(const Options& o, const ParameterTable& table, const CostOptions& s) {
  double bytes = 0;
  for (const ParameterInfo& info : table) {
    if (info.trainable) bytes += 2 * values_on_a_rank(info, s) * number(s.master_bytes);
    if (is_converted(info, s)) {
      bytes += uses_of_weights(s) *
               (bytes_on_a_rank(info, s) + values_on_a_rank(info, s) * number(s.compute_bytes));
    }
  }
  const ActivationOptions sizes = activation_sizes(s);
  const std::vector<LayerTraining> training = training_of_layers(o, table);
  for (std::size_t i = 0; i < training.size(); ++i) {
    double values = 0;
    for (const Kept& kept : kept_by_attention(o, sizes)) values += kept.bytes;
    for (const Kept& kept : kept_by_network(o, sizes, static_cast<std::int64_t>(i)))
      values += kept.bytes;
    const double again = s.checkpoint_activations ? kForwardPasses : 0.0;
    const double back = training[i].output() ? kBackwardPasses + again : 0.0;
    bytes += sizes.tokens *
             (values * (kForwardPasses + back) + score_bytes(o, s, training[i].attention()));
  }
  return bytes;
}

// Of a step: weight, gradient and moments are read and written; the gradient is read for its norm;
// copies in the compute dtype are made anew.
double optimizer_bytes(const ParameterTable& table, const CostOptions& s, const Cost& cost) {
  const double trained = number(cost.rank_trainable_parameters);
  const double updated =
      s.shard_optimizer ? number(cost.trainable_parameters) / number(s.ranks) : trained;
  double bytes = updated * number(s.master_bytes * (5 + 2 * s.optimizer_moments));
  if (s.shard_optimizer) bytes += 2 * trained * number(s.master_bytes);  // buffers to weights
  if (s.compute_bytes >= s.master_bytes) return bytes;
  for (const ParameterInfo& info : table)
    if (info.trainable && info.flops_per_token > 0)
      bytes += values_on_a_rank(info, s) * number(s.master_bytes + s.compute_bytes);
  return bytes;
}

// Of attention's products over those of weights, in rate.
double attention_share(const CostOptions& s) {
  if (s.whole_scores) return 1;  // plain products
  return s.compute_bytes == 2 ? 0.23 : 0.63;
}

// Of a round, as if all were products of weights.
double round_flops(const Options& o, const ParameterTable& table, const CostOptions& s,
                   const Cost& cost) {
  const double again =
      s.checkpoint_activations ? forward_flops_per_token(o, table, s.sequence_length) : 0.0;
  const double attention = attention_training_flops(o, table, s.sequence_length);
  return (cost.flops_per_token + again + attention * (1 / attention_share(s) - 1)) *
         number(s.micro_batch_size * s.sequence_length);
}

// Devices of a node are consecutive ranks.
double exchange_time(const CostOptions& s, const Cost& cost, const Device& device) {
  if (s.expert == 1) return 0;
  const double others = number(s.expert - 1);
  const double outside = number(std::max<std::int64_t>(0, s.expert - device.per_node));
  const double network = cost.all_to_all_bytes * outside / others;
  return std::max((cost.all_to_all_bytes - network) / device.node_rate(),
                  outside > 0 ? network / device.network_rate() : 0.0);
}

double reduction_time(const CostOptions& s, const Cost& cost, const Device& device) {
  if (s.ranks == 1) return 0;
  return cost.all_reduce_bytes /
         (s.ranks > device.per_node ? device.network_rate() : device.node_rate());
}

}  // namespace

StepTime training_time(const Options& o, const ParameterTable& table, const CostOptions& s,
                       const Cost& cost, const Device& device) {
  const double rounds = number(cost.rounds);
  const double products =
      std::max(round_flops(o, table, s, cost) / device.product_rate(s.compute_bytes),
               weight_bytes(table, s) / device.memory_rate());
  const double memory = round_bytes(o, table, s) / device.memory_rate();
  StepTime time;
  time.products = rounds * products;
  time.memory = rounds * memory + optimizer_bytes(table, s, cost) / device.memory_rate();
  // Sharded, half of it is the gather after the optimizer.
  const double reduction = reduction_time(s, cost, device) * (s.shard_optimizer ? 0.5 : 1.0);
  const double gather = s.shard_optimizer ? reduction : 0.0;
  const double backward = (products + memory) * 2 / 3;
  time.exposed = exchange_time(s, cost, device) + gather + std::max(0.0, reduction - backward);
  return time;
}

}  // namespace moesaic::arch
