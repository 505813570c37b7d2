#include "nn/ops.h"

#include <ATen/ops/embedding.h>

#include <utility>

#include "comm/trace_span.h"
#include "nn/autograd.h"
#include "nn/grouped_product.h"

namespace moesaic {
namespace {

using Kind = ParameterUse::Kind;

// A weight as the products of one operation take it: as it is, or in their dtype, of codes where it
// is quantised. Made anew where it is asked for again, so that backward keeps no copy of it.
class ProductWeight {
 public:
  ProductWeight(const ForwardContext& context, const Parameter& weight, at::ScalarType dtype,
                bool as_it_is)
      : context_(context), weight_(weight), dtype_(dtype), as_it_is_(as_it_is) {}

  at::Tensor get() const {
    return as_it_is_ ? weight_.tensor : context_.weights.get(weight_, dtype_);
  }

  /// grouped_product() with this weight.
  at::Tensor grouped(const at::Tensor& x, bool transposed, const GroupOffsets& offsets) const {
    const auto progress = [this] { context_.world.progress(); };
    return weight_.quantised.defined()
               ? grouped_product(x, weight_.quantised, transposed, offsets, context_.matmul,
                                 progress)
               : grouped_product(x, get(), transposed, offsets, context_.matmul, progress);
  }

 private:
  const ForwardContext& context_;
  const Parameter& weight_;
  at::ScalarType dtype_;
  bool as_it_is_;
};

}  // namespace

at::Tensor embedding(const ForwardContext& context, const Parameter& weight,
                     const at::Tensor& ids_T) {
  const Span span("embedding");
  const bool wanted = context.open(weight);
  const at::Tensor y_TD = at::embedding(weight.tensor, ids_T).to(context.precision.master);
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
  const ProductWeight w_NK(context, weight, dtype, widens_right(x_TK, weight.tensor));
  at::Tensor x = x_TK.detach();
  at::Tensor y_TN = product(x, w_NK.get(), context.matmul);
  if (bias != nullptr) y_TN.add_(bias->tensor);
  context.world.progress();
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
        return {product(dy_TN, w_NK.get().t(), context.matmul)};
      },
      beyond_if(wanted || bias_wanted));
}

RowGroups groups_of(GroupOffsets offsets, const at::Tensor& place_R) {
  return {std::move(offsets), place_R.bitwise_right_shift(kPlaceBits), place_R};
}

at::Tensor grouped_linear(const ForwardContext& context, const Parameter& weight,
                          const at::Tensor& x_RK, const RowGroups& groups) {
  const Span span("grouped_linear");
  const at::ScalarType dtype = x_RK.scalar_type();
  const bool wanted = context.open(weight);
  const bool as_it_is =
      context.weights.converts(weight, dtype) || rounds_right(dtype, weight.tensor, context.matmul);
  const ProductWeight w_eNK(context, weight, dtype, as_it_is);
  at::Tensor x = x_RK.detach();
  const at::Tensor y_RN = w_eNK.grouped(x, false, groups.offsets);
  if (!wanted) x = at::Tensor();
  const bool asked = x_RK.requires_grad();
  return record(
      "grouped_linear", {x_RK}, y_RN,
      [&context, &weight, wanted, asked, dtype, x, w_eNK, groups](const Tensors& dy) -> Tensors {
        const at::Tensor dy_RN = dy[0].to(dtype).contiguous();
        if (wanted)
          context.hand_over({Kind::kGrouped, weight, x, dy_RN, groups.example_R, groups.offsets});
        if (!asked) return {at::Tensor()};
        return {w_eNK.grouped(dy_RN, true, groups.offsets)};
      },
      beyond_if(wanted));
}

}  // namespace moesaic
