// The least number of devices that a model fits on, and the fastest layout of so many.
#pragma once

#include <vector>

#include "arch/generation.h"
#include "arch/step_time.h"

namespace moesaic::arch {

/// How ranks are used, and what it costs.
struct Layout {
  std::int64_t ranks = 1;  // devices
  std::int64_t expert = 1;
  bool shard_optimizer = false;
  bool checkpoint_activations = false;
  Cost cost;
  StepTime time;
  double tokens_per_s = 0;  // predicted

  std::int64_t data() const { return ranks / expert; }
  double missing_bytes = 0;  // of a rank, where no layout fits: `ranks` is then the best one's
  bool fits() const { return missing_bytes <= 0; }
};

/// Numbers of devices that are tried: those that divide a node, then whole nodes, 2^n and 3 x 2^n
/// of them, up to 1,024 devices.
std::vector<std::int64_t> device_counts(const Device& device);

/// Training: `sizes` without ranks, expert, shard_optimizer, checkpoint_activations and
/// whole_scores, which are chosen. `may_shard`: whether the recipe allows parallel.shard_optimizer.
Layout least_training(const Options& options, const ParameterTable& table, CostOptions sizes,
                      const Device& device, bool may_shard = true);

/// Generation: `sizes` without ranks. Copies of a dense model make nothing faster for one sequence:
/// it fits on one device or not at all.
Layout least_generation(const Options& options, const ParameterTable& table, GenerationSizes sizes,
                        const Device& device);

}  // namespace moesaic::arch
