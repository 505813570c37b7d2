// The experts of this rank: SwiGLU networks whose weights are one tensor each, [e, ...].
#pragma once

#include "moe/dispatcher.h"
#include "nn/linear.h"

namespace moesaic {

class GroupedExperts {
 public:
  /// Weights [e, F, D], [e, F, D] and [e, D, F].
  GroupedExperts(GroupedLinear gate, GroupedLinear up, GroupedLinear down)
      : gate_(std::move(gate)), up_(std::move(up)), down_(std::move(down)) {}

  /// Rows grouped by expert -> results in the same order, each already times its gate weight.
  /// `output_sum`, where it is asked for: as in RouterRecord, rows of weight zero left out. Local.
  at::Tensor forward(const ForwardContext& context, const Dispatched& tokens,
                     at::Tensor* output_sum = nullptr) const;
  /// Zeros, for rows of weight zero: nothing but the rows' weights gets a gradient, <dy, result>.
  /// Costs the forward products alone. Local.
  at::Tensor forward_for_weights(const ForwardContext& context, const Dispatched& tokens) const;

 private:
  at::Tensor sum_of_outputs(const ForwardContext& context, const Dispatched& tokens,
                            const at::Tensor& h_RF) const;

  GroupedLinear gate_, up_, down_;
};

}  // namespace moesaic
