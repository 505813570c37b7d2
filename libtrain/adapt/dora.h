// Weight-decomposed adaptation (Liu et al. 2024, arXiv 2402.09353): the rows of W + scale B A are
// brought to lengths that are trained, the magnitudes. As in PEFT the lengths that they are divided
// by count as constants in the gradient (section 4.3).
#pragma once

#include <optional>

#include "nn/forward_context.h"
#include "nn/group_offsets.h"
#include "parallel/parameter_set.h"

namespace moesaic {

/// A weight [.., N, K], the factors of its change and its magnitudes [.., N]; they must outlive it.
struct DoraRows {
  const Parameter& weight;
  const Parameter& a;
  const Parameter& b;
  const Parameter& magnitude;
  double scale;

  /// [.., N]: the length of each row of W + scale B A, without building that, in the type of the
  /// factors; of a weight that is kept otherwise matrix by matrix. Not in the graph.
  at::Tensor lengths() const;
};

/// u_RN, made by the changed weight, with its columns times magnitude over length. `groups` and
/// `example_R` as in RowGroups; no groups where the weight is one matrix. Local.
at::Tensor with_magnitudes(const ForwardContext& context, const DoraRows& rows,
                           const at::Tensor& u_RN, const at::Tensor& example_R,
                           const std::optional<GroupOffsets>& groups = std::nullopt);

}  // namespace moesaic
