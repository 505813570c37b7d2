// The parameterised operations. Each computes its output and records one node; the gradient of the
// parameter goes to the context's GradientSink. What only that gradient needs is not kept where the
// parameter is frozen. T tokens (rows), D, K, N widths.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"
#include "nn/group_offsets.h"

namespace moesaic {

/// ids_T -> rows of `weight` [V, D], in the master dtype.
at::Tensor embedding(const ForwardContext& context, const Parameter& weight,
                     const at::Tensor& ids_T);

/// x_TK weight_NK^T (+ bias_N) -> [T, N]. The dtype of x decides in which precision the product
/// runs.
at::Tensor linear(const ForwardContext& context, const Parameter& weight, const Parameter* bias,
                  const at::Tensor& x_TK);

/// Rows that lie in groups, one for each of this rank's experts.
struct RowGroups {
  GroupOffsets offsets;
  at::Tensor example_R;     // int64: example of each row
  at::Tensor place_R = {};  // int64: place of its token (data/batch.h), where it has one
};

/// Groups of rows that are tokens at these places.
RowGroups groups_of(GroupOffsets offsets, const at::Tensor& place_R);

/// Expert e of `weight` [e, N, K] on the rows of its group: x_RK -> [R, N].
at::Tensor grouped_linear(const ForwardContext& context, const Parameter& weight,
                          const at::Tensor& x_RK, const RowGroups& groups);

}  // namespace moesaic
