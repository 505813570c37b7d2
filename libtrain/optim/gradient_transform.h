// GradientTransform: one step of the ordered chain over the finished gradient, between
// synchronisation and optimizer. The order is data, printed at start.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// The gradient of the trainable parameters, summed over all ranks; expert gradients are this
/// rank's experts.
struct GradientEntry {
  const Parameter& parameter;
  at::Tensor gradient;
};

/// The gradient is `scale` times what the entries hold: a transform that multiplies all of it
/// changes `scale`, and the optimizer multiplies as it reads.
struct Gradients {
  std::vector<GradientEntry> entries;
  double scale = 1;
};

/// What the transforms of a step report to the metrics.
struct GradientReport {
  double grad_norm = 0;  // before clipping
  double clip_factor = 1;
};

class GradientTransform {
 public:
  virtual ~GradientTransform() = default;
  virtual std::string name() const = 0;
  /// Changes the gradient in place: the entries or the scale. Collective over world where a
  /// transform says so.
  virtual void apply(const RankContext& context, Gradients& gradients,
                     GradientReport& report) const = 0;
};

using TransformChain = std::vector<std::unique_ptr<GradientTransform>>;

}  // namespace moesaic
