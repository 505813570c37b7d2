#include "nn/linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

namespace moesaic {
namespace {

ForwardContext without_gradients(const ForwardContext& context) {
  ForwardContext alone = context;
  alone.sink = nullptr;
  alone.training = false;
  return alone;
}

}  // namespace

at::Tensor Linear::forward(const ForwardContext& context, const at::Tensor& x_TK) const {
  const auto map = [&](const at::Tensor& x) { return linear(context, *weight_, bias_, x); };
  return adapter_ ? adapter_->apply(context, x_TK, map) : map(x_TK);
}

at::Tensor Linear::matrix(const ForwardContext& context, at::ScalarType dtype) const {
  const at::Tensor w_NK = context.weights.get(*weight_, dtype);
  if (!adapter_) return w_NK;
  // What the map makes of the unit vectors, which nobody learns from.
  const at::NoGradGuard no_gradients;
  const at::Tensor unit_KK = at::eye(w_NK.size(1), w_NK.options());
  const auto map = [&](const at::Tensor&) { return w_NK.t().clone(at::MemoryFormat::Contiguous); };
  return adapter_->apply(without_gradients(context), unit_KK, map).t();
}

std::vector<const Parameter*> Linear::parameters() const {
  std::vector<const Parameter*> parameters = {weight_};
  if (bias_ != nullptr) parameters.push_back(bias_);
  return parameters;
}

at::Tensor GroupedLinear::forward_one_each(const ForwardContext& context,
                                           const at::Tensor& x_eK) const {
  const at::NoGradGuard no_gradients;
  const ForwardContext alone = without_gradients(context);
  const at::Tensor x = x_eK.detach().to(context.precision.master);
  const auto numbers = x.options().dtype(at::kLong);
  const RowGroups one_each{GroupOffsets(at::ones({x.size(0)}, numbers)),
                           at::zeros({x.size(0)}, numbers)};
  const auto map = [&](const at::Tensor& rows) {
    return weight_->storage == arch::Storage::kMaster
               ? weight_->tensor.bmm(rows.unsqueeze(2)).squeeze(2)
               : grouped_linear(alone, *weight_, rows, one_each);
  };
  return adapter_ ? adapter_->apply(alone, x, one_each, map) : map(x);
}

at::Tensor GroupedLinear::forward(const ForwardContext& context, const at::Tensor& x_RK,
                                  const RowGroups& groups) const {
  const auto map = [&](const at::Tensor& x) {
    return grouped_linear(context, *weight_, x, groups);
  };
  return adapter_ ? adapter_->apply(context, x_RK, groups, map) : map(x_RK);
}

}  // namespace moesaic
