// y + B (scale A x) beside a map y of x, in one operation before the map and one after it. Neither
// passes over rows of full width to add: what B makes is added where y lies, and in backward what A
// gives to the gradient of x where the map's own gradient lies.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "nn/forward_context.h"
#include "nn/ops.h"

namespace moesaic {

struct LowRankInput {
  /// The values of x, for maps as linear() and grouped_linear() are and nothing else: the gradient
  /// that these give is a new tensor, which is added to.
  at::Tensor x;
  at::Tensor h;  // scale A x [.., r]
};

/// `a` [r, K], or with `groups` [e, r, K], one for each group of rows.
LowRankInput times_a(const ForwardContext& context, const Parameter& a, double scale,
                     const at::Tensor& x_RK, const std::optional<RowGroups>& groups = std::nullopt);

/// y + B h, written where y was: a new tensor, as maps give it, that nobody else has or keeps.
/// `b` [N, r], or with `groups` [e, N, r].
at::Tensor add_times_b(const ForwardContext& context, const Parameter& b, const at::Tensor& h_Rr,
                       const at::Tensor& y_RN,
                       const std::optional<RowGroups>& groups = std::nullopt);

}  // namespace moesaic
