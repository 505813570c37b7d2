// The experts of this rank: SwiGLU networks whose weights are one tensor each, [e, ...].
#pragma once

#include "moe/dispatcher.h"
#include "nn/forward_context.h"

namespace moesaic {

class GroupedExperts {
 public:
  GroupedExperts(Parameter gate, Parameter up, Parameter down)
      : gate_(std::move(gate)), up_(std::move(up)), down_(std::move(down)) {}

  /// Rows grouped by expert -> results in the same order, each already times its gate weight.
  /// `output_sum`, where it is asked for: as in RouterRecord, rows of weight zero left out. Local.
  at::Tensor forward(const ForwardContext& context, const Dispatched& tokens,
                     at::Tensor* output_sum = nullptr) const;
  /// Zeros, for rows of weight zero: nothing but the rows' weights gets a gradient, <dy, result>.
  /// Costs the forward products alone. Local.
  at::Tensor forward_for_weights(const ForwardContext& context, const Dispatched& tokens) const;
  void collect(ParameterSet& parameters);

 private:
  at::Tensor sum_of_outputs(const ForwardContext& context, const Dispatched& tokens,
                            const at::Tensor& h_RF) const;

  Parameter gate_;  // [e, F, D]
  Parameter up_;    // [e, F, D]
  Parameter down_;  // [e, D, F]
};

}  // namespace moesaic
