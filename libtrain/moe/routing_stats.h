// Routing statistics of a step, from the choices counted over all micro-batches and ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "comm/communicator.h"
#include "loss/loss_term.h"

namespace moesaic {

class RoutingStats {
 public:
  /// Adds the choices of one micro-batch.
  void add(const std::vector<RouterRecord>& records);

  /// Makes the statistics those of the whole step. Collective over world, and over none without
  /// layers that have experts, which all ranks or none have.
  void reduce(const Communicator& world);

  /// int64 [layers, E]: how often each expert was chosen so far; undefined without MoE layers.
  at::Tensor counts() const;

  /// By layer. Max violation: (max count - mean) / mean (arXiv 2408.15664). Entropy of the load,
  /// relative to that of an even one: 1 at balance, 0 when one expert has it all.
  std::vector<double> max_violations() const;
  std::vector<double> entropies() const;
  /// By layer and expert: the share of the layer's choices.
  std::vector<std::vector<double>> loads() const;
  double dead_experts() const;      // without a token, over all layers
  double dropped_fraction() const;  // choices that found no room at their expert
  double active_experts() const;    // that a token meets, mean over tokens and layers

 private:
  at::Tensor total_LX_;           // int64: E counts, then dropped choices and tokens
  std::int64_t num_experts_ = 0;  // that compute something
};

}  // namespace moesaic
