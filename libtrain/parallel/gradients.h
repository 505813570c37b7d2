// Gradients: the finished gradient of a step, as transforms and the optimizer see it.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "parallel/parameter_set.h"
#include "parallel/row_blocks.h"

namespace moesaic {

/// The gradient of one trainable parameter, summed over all ranks; of experts, this rank's ones.
struct GradientEntry {
  const Parameter& parameter;
  at::Tensor gradient;
  std::optional<RowRange> rows = {};  // of parameter.tensor that it is of; nullopt = all
  /// Of `gradient`: what the optimizer changes; nullopt = all. The gradient of other rows is zero.
  std::optional<std::vector<RowRange>> updated = {};

  /// The values that the gradient is of: a view.
  at::Tensor weight() const { return rows_of(parameter.tensor); }
  /// Of a tensor like parameter.tensor, the rows that the gradient has: a view.
  at::Tensor rows_of(const at::Tensor& tensor) const {
    return rows ? tensor.narrow(0, rows->first, rows->count) : tensor;
  }
  /// Of a tensor with the gradient's rows, those that are updated: views.
  std::vector<at::Tensor> updated_of(const at::Tensor& tensor) const {
    if (!updated) return {tensor};
    std::vector<at::Tensor> pieces;
    for (const RowRange& range : *updated)
      pieces.push_back(tensor.narrow(0, range.first, range.count));
    return pieces;
  }
};

/// The gradient is `scale` times what the entries hold: a transform that multiplies all of it
/// changes `scale`, and the optimizer multiplies as it reads.
struct Gradients {
  std::vector<GradientEntry> entries;
  double scale = 1;
  bool spread = false;  // each rank has the rows that it owns (parallel/ownership.h), and no others

  /// Drops it: the entries are zero afterwards, as the optimizer leaves them.
  void clear() {
    for (GradientEntry& entry : entries) entry.gradient.zero_();
    scale = 1;
  }
};

}  // namespace moesaic
