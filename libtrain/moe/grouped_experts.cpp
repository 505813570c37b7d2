#include "moe/grouped_experts.h"

#include "nn/ops.h"
#include "nn/swiglu.h"

namespace moesaic {

at::Tensor GroupedExperts::forward(const ForwardContext& context, const Dispatched& tokens) const {
  const at::Tensor gate_RF =
      grouped_linear(context, gate_, tokens.rows_RD, tokens.offsets, tokens.example_R);
  const at::Tensor up_RF =
      grouped_linear(context, up_, tokens.rows_RD, tokens.offsets, tokens.example_R);
  const at::Tensor h_RF = weighted_swiglu(gate_RF, up_RF, tokens.weight_R);
  return grouped_linear(context, down_, h_RF, tokens.offsets, tokens.example_R);
}

void GroupedExperts::collect(ParameterSet& parameters) {
  parameters.add(gate_);
  parameters.add(up_);
  parameters.add(down_);
}

}  // namespace moesaic
