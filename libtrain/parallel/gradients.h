// Gradients: the finished gradient of a step, as transforms and the optimizer see it.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "parallel/parameter_set.h"

namespace moesaic {

/// The gradient of one trainable parameter, summed over all ranks; of experts, this rank's ones.
struct GradientEntry {
  const Parameter& parameter;
  at::Tensor gradient;
};

/// The gradient is `scale` times what the entries hold: a transform that multiplies all of it
/// changes `scale`, and the optimizer multiplies as it reads.
struct Gradients {
  std::vector<GradientEntry> entries;
  double scale = 1;

  /// Drops it: the entries are zero afterwards, as the optimizer leaves them.
  void clear() {
    for (GradientEntry& entry : entries) entry.gradient.zero_();
    scale = 1;
  }
};

}  // namespace moesaic
