// What the gradient of each unit is multiplied by, so that no unit counts more than clip_norm.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "parallel/parameter_set.h"

namespace moesaic {

enum class Clipping {
  kNone,
  kFlat,       // min(1, clip_norm / norm), over all parameters
  kPerLayer,   // the same for each group of parameters, with clip_norm / sqrt(groups)
  kAutomatic,  // clip_norm / (norm + 0.01) (Bu et al. 2022, arXiv 2206.07136)
};

struct ClippingRule {
  Clipping clipping = Clipping::kFlat;
  double clip_norm = 1;

  /// flat | per_layer | automatic | adaptive, which is flat with a clip_norm that moves; a
  /// clip_norm of 0 is none.
  static ClippingRule named(const std::string& name, double clip_norm);

  /// float64 [U, G] of float64 [U, G]: each unit's squared norm in each group -> its factors. The
  /// sum of clipped gradients changes by at most clip_norm with a unit.
  at::Tensor factors(const at::Tensor& square_UG) const;
};

/// The groups of trainable parameters that are clipped together.
struct ClippingGroups {
  std::vector<std::int64_t> of_parameter;  // by position in the ParameterSet; -1 = frozen
  std::int64_t count = 1;

  /// All in one; per_layer: the groups of `moesaic plan` that have trainable parameters.
  static ClippingGroups of(const ParameterSet& parameters, Clipping clipping);
};

}  // namespace moesaic
