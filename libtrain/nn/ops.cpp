#include "nn/ops.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include "comm/trace_span.h"
#include "nn/autograd.h"

namespace moesaic {
namespace {

using Kind = ParameterUse::Kind;

}  // namespace

at::Tensor embedding(const ForwardContext& context, const Parameter& weight,
                     const at::Tensor& ids_T) {
  const Span span("embedding");
  context.expect(weight);
  const at::Tensor y_TD = at::embedding(weight.tensor, ids_T).to(context.precision.master);
  return record("embedding", {}, y_TD, [&context, &weight, ids_T](const Tensors& dy) -> Tensors {
    context.accumulate({Kind::kEmbedding, weight, ids_T, dy[0], context.batch.example_id_T});
    return {};
  });
}

at::Tensor linear(const ForwardContext& context, const Parameter& weight, const Parameter* bias,
                  const at::Tensor& x_TK) {
  const Span span("linear");
  context.expect(weight);
  if (bias != nullptr) context.expect(*bias);
  const at::Tensor w_NK = widens_right(x_TK, weight.tensor)
                              ? weight.tensor
                              : context.weights.get(weight, x_TK.scalar_type());
  const at::Tensor x = x_TK.detach();
  at::Tensor y_TN = product(x, w_NK, context.matmul);
  if (bias != nullptr) y_TN.add_(bias->tensor);
  context.world.progress();
  return record("linear", {x_TK}, y_TN,
                [&context, &weight, bias, x, w_NK](const Tensors& dy) -> Tensors {
                  const at::Tensor dy_TN = dy[0].to(x.scalar_type());
                  context.accumulate({Kind::kLinear,
                                      weight,
                                      x,
                                      dy_TN,
                                      context.batch.example_id_T,
                                      {},
                                      {},
                                      /*may_wait=*/true});
                  if (bias != nullptr)
                    context.accumulate({Kind::kBias, *bias, {}, dy_TN, context.batch.example_id_T});
                  return {product(dy_TN, w_NK.t(), context.matmul)};
                });
}

namespace {

// Expert e on its rows; `transposed` uses weight[e]^T.
at::Tensor grouped_product(const at::Tensor& x_RK, const at::Tensor& w_eNK, bool transposed,
                           const std::vector<std::int64_t>& offsets,
                           const ForwardContext& context) {
  const std::int64_t width = transposed ? w_eNK.size(2) : w_eNK.size(1);
  at::Tensor y = at::empty({x_RK.size(0), width}, x_RK.options());
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    const std::int64_t begin = offsets[e], rows = offsets[e + 1] - begin;
    if (rows == 0) continue;
    const at::Tensor w = w_eNK.select(0, static_cast<std::int64_t>(e));
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
  const bool as_it_is =
      context.weights.converts(weight, dtype) || rounds_right(dtype, weight.tensor, context.matmul);
  const at::Tensor w_eNK = as_it_is ? weight.tensor : context.weights.get(weight, dtype);
  const at::Tensor x = x_RK.detach();
  const at::Tensor y_RN = grouped_product(x, w_eNK, false, offsets, context);
  return record("grouped_linear", {x_RK}, y_RN,
                [&context, &weight, x, w_eNK, offsets, example_R](const Tensors& dy) -> Tensors {
                  const at::Tensor dy_RN = dy[0].to(x.scalar_type()).contiguous();
                  context.accumulate({Kind::kGrouped,
                                      weight,
                                      x,
                                      dy_RN,
                                      example_R,
                                      offsets,
                                      {},
                                      /*may_wait=*/true});
                  return {grouped_product(dy_RN, w_eNK, true, offsets, context)};
                });
}

}  // namespace moesaic
