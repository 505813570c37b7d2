#include "nn/low_rank.h"

#include "comm/trace_span.h"
#include "core/error.h"
#include "nn/autograd.h"
#include "nn/product_weight.h"

namespace moesaic {
namespace {

ProductWeight factor_of(const ForwardContext& context, const Parameter& factor, const at::Tensor& x,
                        const std::optional<RowGroups>& groups) {
  if (!groups) return ProductWeight(context, factor, x);
  return ProductWeight(context, factor, x, groups->offsets);
}

void hand_over_rows(const ForwardContext& context, const Parameter& factor, const at::Tensor& input,
                    const at::Tensor& dy, const std::optional<RowGroups>& groups) {
  context.hand_over({.kind = groups ? ParameterUse::Kind::kGrouped : ParameterUse::Kind::kLinear,
                     .parameter = factor,
                     .input = input,
                     .output_gradient = dy,
                     .example_R = groups ? groups->example_R : context.batch.example_id_T,
                     .offsets = groups ? groups->offsets : GroupOffsets()});
}

}  // namespace

// Where x asks for no gradient it goes to the map as it is, which then makes none.
LowRankInput times_a(const ForwardContext& context, const Parameter& a, double scale,
                     const at::Tensor& x_RK, const std::optional<RowGroups>& groups) {
  const Span span("lora_A");
  const bool wanted = context.open(a), asked = x_RK.requires_grad();
  const ProductWeight a_rK = factor_of(context, a, x_RK, groups);
  at::Tensor x = x_RK.detach();
  const LowRankInput low{asked ? x_RK.detach() : x_RK, a_rK.times(x, false).mul_(scale)};
  if (!wanted) x = at::Tensor();
  record(
      "lora_A", {x_RK}, asked ? Tensors{low.x, low.h} : Tensors{low.h},
      [&context, &a, scale, wanted, asked, x, a_rK, groups](const Tensors& gradients) -> Tensors {
        MOESAIC_ASSERT(gradients.back().defined());
        const at::Tensor dh_Rr = gradients.back().mul(scale);
        if (wanted) hand_over_rows(context, a, x, dh_Rr, groups);
        if (!asked) return {at::Tensor()};
        const at::Tensor& dx_RK = gradients.front();
        if (!dx_RK.defined()) return {a_rK.times(dh_Rr, true)};
        a_rK.add_times(dh_Rr, true, dx_RK);
        return {dx_RK};
      },
      beyond_if(wanted), Unused::kUndefined);
  return low;
}

at::Tensor add_times_b(const ForwardContext& context, const Parameter& b, const at::Tensor& h_Rr,
                       const at::Tensor& y_RN, const std::optional<RowGroups>& groups) {
  const Span span("lora_B");
  const bool wanted = context.open(b), asked = h_Rr.requires_grad();
  const ProductWeight b_Nr = factor_of(context, b, h_Rr, groups);
  at::Tensor h = h_Rr.detach();
  const at::Tensor sum_RN = y_RN.detach();
  b_Nr.add_times(h, false, sum_RN);
  if (!wanted) h = at::Tensor();
  return record(
      "lora_B", {y_RN, h_Rr}, sum_RN,
      [&context, &b, wanted, asked, h, b_Nr, groups](const Tensors& gradients) -> Tensors {
        const at::Tensor dy_RN = gradients[0].contiguous();
        if (wanted) hand_over_rows(context, b, h, dy_RN, groups);
        return {dy_RN, asked ? b_Nr.times(dy_RN, true) : at::Tensor()};
      },
      beyond_if(wanted));
}

}  // namespace moesaic
