#include "moe/grouped_experts.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "nn/autograd.h"
#include "nn/ops.h"
#include "nn/swiglu.h"

namespace moesaic {

at::Tensor GroupedExperts::forward(const ForwardContext& context, const Dispatched& tokens,
                                   at::Tensor* output_sum) const {
  const at::Tensor gate_RF = gate_.forward(context, tokens.rows_RD, tokens.groups);
  const at::Tensor up_RF = up_.forward(context, tokens.rows_RD, tokens.groups);
  const at::Tensor h_RF = weighted_swiglu(gate_RF, up_RF, tokens.weight_R);
  if (output_sum != nullptr) *output_sum = sum_of_outputs(context, tokens, h_RF);
  return down_.forward(context, h_RF, tokens.groups);
}

at::Tensor GroupedExperts::forward_for_weights(const ForwardContext& context,
                                               const Dispatched& tokens) const {
  ForwardContext inference = context;  // no gradients of the experts' weights to come
  inference.sink = nullptr;
  Dispatched rows = tokens;
  rows.weight_R = at::ones_like(tokens.weight_R.detach());
  at::Tensor result_RD;
  {
    const at::NoGradGuard no_graph;
    result_RD = forward(inference, rows);
  }
  return record("for_weights", {tokens.weight_R}, at::zeros_like(result_RD),
                [result_RD, dtype = tokens.weight_R.scalar_type()](const Tensors& dy) -> Tensors {
                  return {dy[0].to(dtype).mul(result_RD).sum(-1)};
                });
}

// The down projection is linear: that of the sum is the sum of the results. The sums over the rows
// of each expert are one product with a matrix that has a row for each expert.
at::Tensor GroupedExperts::sum_of_outputs(const ForwardContext& context, const Dispatched& tokens,
                                          const at::Tensor& h_RF) const {
  const at::Tensor weight_R = tokens.weight_R.detach();
  constexpr double kTooSmall = 1e-30;  // to be divided by
  const at::Tensor inverse_R = weight_R.reciprocal().masked_fill(weight_R.lt(kTooSmall), 0);
  const std::vector<std::int64_t>& offsets = tokens.groups.offsets.host();
  const std::int64_t experts = tokens.groups.offsets.groups();
  const at::Tensor inverse_eR = at::zeros({experts, weight_R.size(0)}, inverse_R.options());
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::int64_t first = offsets[static_cast<std::size_t>(e)];
    const std::int64_t rows = offsets[static_cast<std::size_t>(e) + 1] - first;
    inverse_eR[e].narrow(0, first, rows).copy_(inverse_R.narrow(0, first, rows));
  }
  const at::Tensor h_eF = inverse_eR.to(h_RF.scalar_type()).matmul(h_RF.detach());
  const at::Tensor output_eD = down_.forward_one_each(context, h_eF);
  const auto dtype = context.precision.master;
  return at::cat({output_eD.to(dtype), inverse_eR.ne(0).sum(1, true).to(dtype)}, 1);
}

}  // namespace moesaic
