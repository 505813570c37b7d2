// Routing statistics of a step, from the choices counted over all micro-batches and ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "loss/loss_term.h"

namespace moesaic {

class RoutingStats {
 public:
  /// Adds the choices of one micro-batch.
  void add(const std::vector<RouterRecord>& records);

  /// int64 [layers, E] of this rank's micro-batches so far; undefined without MoE layers. Summing
  /// it over world in place makes the statistics those of the whole step.
  at::Tensor& counts() { return count_LE_; }

  double max_violation()
      const;  // largest over layers of (max count - mean) / mean (arXiv 2408.15664)
  double dead_experts() const;  // experts without a token, over all layers
  /// Per layer the share of the choices that each expert got.
  std::vector<std::pair<std::string, std::vector<double>>> loads() const;

 private:
  at::Tensor count_LE_;
};

}  // namespace moesaic
