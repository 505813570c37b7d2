#include "nn/ops.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>

#include <algorithm>

#include "comm/trace_span.h"
#include "nn/autograd.h"
#include "nn/cpu/rms_norm.h"

namespace moesaic {
namespace {

using Kind = ParameterUse::Kind;

void hand_over(const ForwardContext& context, Kind kind, const Parameter& parameter,
               const at::Tensor& input, const at::Tensor& gradient, const at::Tensor& example_R,
               const std::vector<std::int64_t>& offsets = {}, const at::Tensor& factor_R = {}) {
  if (context.sink == nullptr) return;
  context.sink->accumulate({kind, parameter, input, gradient, example_R, offsets, factor_R});
  context.world.progress();
}

}  // namespace

at::Tensor embedding(const ForwardContext& context, const Parameter& weight,
                     const at::Tensor& ids_T) {
  const Span span("embedding");
  context.expect(weight);
  const at::Tensor y_TD = at::embedding(weight.tensor, ids_T).to(context.precision.master);
  return record("embedding", {}, y_TD, [&context, &weight, ids_T](const Tensors& dy) -> Tensors {
    hand_over(context, Kind::kEmbedding, weight, ids_T, dy[0], context.batch.example_id_T);
    return {};
  });
}

at::Tensor linear(const ForwardContext& context, const Parameter& weight, const Parameter* bias,
                  const at::Tensor& x_TK) {
  const Span span("linear");
  context.expect(weight);
  if (bias != nullptr) context.expect(*bias);
  const at::Tensor w_NK = context.weights.get(weight, x_TK.scalar_type());
  const at::Tensor x = x_TK.detach();
  at::Tensor y_TN = product(x, w_NK, context.matmul);
  if (bias != nullptr) y_TN.add_(bias->tensor);
  context.world.progress();
  return record("linear", {x_TK}, y_TN,
                [&context, &weight, bias, x, w_NK](const Tensors& dy) -> Tensors {
                  const at::Tensor dy_TN = dy[0].to(x.scalar_type());
                  hand_over(context, Kind::kLinear, weight, x, dy_TN, context.batch.example_id_T);
                  if (bias != nullptr)
                    hand_over(context, Kind::kBias, *bias, {}, dy_TN, context.batch.example_id_T);
                  return {product(dy_TN, w_NK.t(), context.matmul)};
                });
}

namespace {

// Expert e on its rows; `transposed` uses weight[e]^T. Converts the weights where they need it.
at::Tensor grouped_product(const at::Tensor& x_RK, const at::Tensor& w_eNK, bool transposed,
                           const std::vector<std::int64_t>& offsets,
                           const ForwardContext& context) {
  const std::int64_t width = transposed ? w_eNK.size(2) : w_eNK.size(1);
  at::Tensor y = at::empty({x_RK.size(0), width}, x_RK.options());
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    const std::int64_t begin = offsets[e], rows = offsets[e + 1] - begin;
    if (rows == 0) continue;
    const at::Tensor w = w_eNK.select(0, static_cast<std::int64_t>(e)).to(x_RK.scalar_type());
    product_into(x_RK.narrow(0, begin, rows), transposed ? w.t() : w, context.matmul,
                 y.narrow(0, begin, rows));
    context.world.progress();
  }
  return y;
}

}  // namespace

at::Tensor grouped_linear(const ForwardContext& context, const Parameter& weight,
                          const at::Tensor& x_RK, const std::vector<std::int64_t>& offsets,
                          const at::Tensor& example_R) {
  const Span span("grouped_linear");
  context.expect(weight);
  const at::ScalarType dtype = x_RK.scalar_type();
  const at::Tensor w_eNK =
      context.weights.converts(weight, dtype) ? weight.tensor : context.weights.get(weight, dtype);
  const at::Tensor x = x_RK.detach();
  const at::Tensor y_RN = grouped_product(x, w_eNK, false, offsets, context);
  return record("grouped_linear", {x_RK}, y_RN,
                [&context, &weight, x, w_eNK, offsets, example_R](const Tensors& dy) -> Tensors {
                  const at::Tensor dy_RN = dy[0].to(x.scalar_type()).contiguous();
                  hand_over(context, Kind::kGrouped, weight, x, dy_RN, example_R, offsets);
                  return {grouped_product(dy_RN, w_eNK, true, offsets, context)};
                });
}

namespace {

// y and 1 / rms of each row.
void normalise(const at::Tensor& x_TD, const at::Tensor& scale_D, double eps, at::Tensor y_TD,
               at::Tensor rstd_T) {
  if (x_TD.is_cpu()) return cpu::rms_norm_forward(x_TD, scale_D, eps, y_TD, rstd_T);
  const at::Tensor x = x_TD.to(scale_D.scalar_type());
  rstd_T.copy_(at::rsqrt(at::mean(x.square(), -1).add_(eps)));
  y_TD.copy_(x.mul(rstd_T.unsqueeze(1)).mul_(scale_D));
}

at::Tensor normalise_backward(const at::Tensor& dy_TD, const at::Tensor& x_TD,
                              const at::Tensor& rstd_T, const at::Tensor& scale_D) {
  if (x_TD.is_cpu()) {
    const at::Tensor dx_TD = at::empty(x_TD.sizes(), x_TD.options());
    cpu::rms_norm_backward(dy_TD, x_TD, rstd_T, scale_D, dx_TD);
    return dx_TD;
  }
  const at::Tensor rstd_T1 = rstd_T.unsqueeze(1), normal_TD = x_TD.mul(rstd_T1);
  const at::Tensor dn_TD = dy_TD.mul(scale_D);
  const at::Tensor mean_T1 = at::mean(dn_TD.mul(normal_TD), -1, true);
  return dn_TD.sub_(normal_TD.mul(mean_T1)).mul_(rstd_T1).to(x_TD.scalar_type());
}

}  // namespace

at::Tensor rms_norm(const ForwardContext& context, const Parameter& weight, const at::Tensor& x_TD,
                    double eps, at::ScalarType dtype) {
  const Span span("rms_norm");
  context.expect(weight);
  const at::Tensor x = x_TD.detach().contiguous();
  const at::Tensor scale_D = context.weights.get(weight, context.precision.master);
  const at::Tensor y_TD = at::empty(x.sizes(), x.options().dtype(dtype));
  const at::Tensor rstd_T = at::empty({x.size(0)}, scale_D.options());
  normalise(x, scale_D, eps, y_TD, rstd_T);
  // Rows are tokens, or the heads of each token.
  const at::Tensor& example_T = context.batch.example_id_T;
  const std::int64_t per_token = x.size(0) / std::max<std::int64_t>(1, example_T.size(0));
  const at::Tensor example_R = per_token > 1 ? example_T.repeat_interleave(per_token) : example_T;
  return record("rms_norm", {x_TD}, y_TD,
                [&context, &weight, x, rstd_T, scale_D, example_R](const Tensors& dy) -> Tensors {
                  const at::Tensor dy_TD = dy[0].contiguous();
                  hand_over(context, Kind::kScale, weight, x, dy_TD, example_R, {}, rstd_T);
                  return {normalise_backward(dy_TD, x, rstd_T, scale_D)};
                });
}

}  // namespace moesaic
