#include "moe/grouped_experts.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include "nn/autograd.h"
#include "nn/ops.h"
#include "nn/swiglu.h"

namespace moesaic {

at::Tensor GroupedExperts::forward(const ForwardContext& context, const Dispatched& tokens,
                                   at::Tensor* output_sum) const {
  const at::Tensor gate_RF =
      grouped_linear(context, gate_, tokens.rows_RD, tokens.offsets, tokens.example_R);
  const at::Tensor up_RF =
      grouped_linear(context, up_, tokens.rows_RD, tokens.offsets, tokens.example_R);
  const at::Tensor h_RF = weighted_swiglu(gate_RF, up_RF, tokens.weight_R);
  if (output_sum != nullptr) *output_sum = sum_of_outputs(context, tokens, h_RF);
  return grouped_linear(context, down_, h_RF, tokens.offsets, tokens.example_R);
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

// The down projection is linear: that of the sum is the sum of the results.
at::Tensor GroupedExperts::sum_of_outputs(const ForwardContext& context, const Dispatched& tokens,
                                          const at::Tensor& h_RF) const {
  const at::Tensor weight_R = tokens.weight_R.detach();
  const at::Tensor inverse_R = weight_R.reciprocal().masked_fill(weight_R.eq(0), 0);
  const auto dtype = context.precision.master;
  std::vector<at::Tensor> sums;
  for (std::size_t e = 0; e + 1 < tokens.offsets.size(); ++e) {
    const std::int64_t first = tokens.offsets[e], rows = tokens.offsets[e + 1] - first;
    const at::Tensor h_F = inverse_R.narrow(0, first, rows)
                               .to(h_RF.scalar_type())
                               .matmul(h_RF.detach().narrow(0, first, rows));
    const at::Tensor down_DF = down_.tensor[static_cast<std::int64_t>(e)].detach();
    const at::Tensor output_D = down_DF.matmul(h_F.to(down_DF.scalar_type())).to(dtype);
    const at::Tensor used_1 = weight_R.narrow(0, first, rows).ne(0).sum(0, true).to(dtype);
    sums.push_back(at::cat({output_D, used_1}));
  }
  return at::stack(sums);
}

void GroupedExperts::collect(ParameterSet& parameters) {
  parameters.add(gate_);
  parameters.add(up_);
  parameters.add(down_);
}

}  // namespace moesaic
