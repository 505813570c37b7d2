#include "nn/ops.h"

#include <ATen/ops/embedding.h>

#include <utility>

#include "comm/trace_span.h"
#include "nn/autograd.h"
#include "nn/product_weight.h"

namespace moesaic {
namespace {

using Kind = ParameterUse::Kind;

at::Tensor rows_with(const Parameter& weight, const at::Tensor& ids_T) {
  const QuantisedWeight& codes = weight.quantised;
  if (!codes.defined()) return at::embedding(weight.tensor, ids_T);
  return codes.numbers(codes.rows_in_blocks(0).index_select(0, ids_T), at::kFloat);
}

}  // namespace

at::Tensor embedding(const ForwardContext& context, const Parameter& weight,
                     const at::Tensor& ids_T) {
  const Span span("embedding");
  const bool wanted = context.open(weight);
  const at::Tensor y_TD = rows_with(weight, ids_T).to(context.precision.master);
  return record(
      "embedding", {}, y_TD,
      [&context, &weight, wanted, ids_T](const Tensors& dy) -> Tensors {
        if (wanted)
          context.hand_over({Kind::kEmbedding, weight, ids_T, dy[0], context.batch.example_id_T});
        return {};
      },
      beyond_if(wanted));
}

at::Tensor linear(const ForwardContext& context, const Parameter& weight, const Parameter* bias,
                  const at::Tensor& x_TK) {
  const Span span("linear");
  const at::ScalarType dtype = x_TK.scalar_type();
  const bool wanted = context.open(weight);
  const bool bias_wanted = bias != nullptr && context.open(*bias);
  const ProductWeight w_NK(context, weight, x_TK);
  at::Tensor x = x_TK.detach();
  const at::Tensor y_TN = w_NK.times(x, false);
  if (bias != nullptr) y_TN.add_(bias->tensor);
  if (!wanted) x = at::Tensor();
  const bool asked = x_TK.requires_grad();
  return record(
      "linear", {x_TK}, y_TN,
      [&context, &weight, bias, wanted, bias_wanted, asked, dtype, x,
       w_NK](const Tensors& dy) -> Tensors {
        const at::Tensor dy_TN = dy[0].to(dtype);
        const at::Tensor& example_T = context.batch.example_id_T;
        if (wanted) context.hand_over({Kind::kLinear, weight, x, dy_TN, example_T});
        if (bias_wanted) context.hand_over({Kind::kBias, *bias, {}, dy_TN, example_T});
        if (!asked) return {at::Tensor()};
        return {w_NK.times(dy_TN, true)};
      },
      beyond_if(wanted || bias_wanted));
}

RowGroups groups_of(GroupOffsets offsets, const at::Tensor& place_R) {
  return {std::move(offsets), examples_of_places(place_R), place_R};
}

at::Tensor grouped_linear(const ForwardContext& context, const Parameter& weight,
                          const at::Tensor& x_RK, const RowGroups& groups) {
  const Span span("grouped_linear");
  const at::ScalarType dtype = x_RK.scalar_type();
  const bool wanted = context.open(weight);
  const ProductWeight w_eNK(context, weight, x_RK, groups.offsets);
  at::Tensor x = x_RK.detach();
  const at::Tensor y_RN = w_eNK.times(x, false);
  if (!wanted) x = at::Tensor();
  const bool asked = x_RK.requires_grad();
  return record(
      "grouped_linear", {x_RK}, y_RN,
      [&context, &weight, wanted, asked, dtype, x, w_eNK, groups](const Tensors& dy) -> Tensors {
        const at::Tensor dy_RN = dy[0].to(dtype).contiguous();
        if (wanted)
          context.hand_over({Kind::kGrouped, weight, x, dy_RN, groups.example_R, groups.offsets});
        if (!asked) return {at::Tensor()};
        return {w_eNK.times(dy_RN, true)};
      },
      beyond_if(wanted));
}

}  // namespace moesaic
