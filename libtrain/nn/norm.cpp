#include "nn/norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>

#include <algorithm>

#include "comm/trace_span.h"
#include "nn/autograd.h"
#include "nn/cpu/rms_norm.h"

namespace moesaic {
namespace {

// What the backward pass of a norm needs. Rows are tokens, or the heads of each token.
struct Normalised {
  at::Tensor x_TD, rstd_T, scale_D;
  double eps = 0;
  bool wanted = false;  // the gradient of the scale

  Normalised(const ForwardContext& context, const Parameter& weight, const at::Tensor& x, double e)
      : x_TD(x),
        scale_D(context.weights.get(weight, context.precision.master)),
        eps(e),
        wanted(context.open(weight)) {
    rstd_T = at::empty({x.size(0)}, scale_D.options());
  }

  at::Tensor forward(at::ScalarType dtype) {
    const at::Tensor y_TD = at::empty(x_TD.sizes(), x_TD.options().dtype(dtype));
    if (x_TD.is_cpu()) {
      cpu::rms_norm_forward(x_TD, scale_D, eps, y_TD, rstd_T);
      return y_TD;
    }
    const at::Tensor x = x_TD.to(scale_D.scalar_type());
    rstd_T.copy_(at::rsqrt(at::mean(x.square(), -1).add_(eps)));
    y_TD.copy_(x.mul(rstd_T.unsqueeze(1)).mul_(scale_D));
    return y_TD;
  }

  at::Tensor backward(const at::Tensor& dy_TD) const {
    if (x_TD.is_cpu()) {
      const at::Tensor dx_TD = at::empty_like(x_TD);
      cpu::rms_norm_backward(dy_TD, x_TD, rstd_T, scale_D, dx_TD);
      return dx_TD;
    }
    const at::Tensor rstd_T1 = rstd_T.unsqueeze(1), normal_TD = x_TD.mul(rstd_T1);
    const at::Tensor dn_TD = dy_TD.mul(scale_D);
    const at::Tensor mean_T1 = at::mean(dn_TD.mul(normal_TD), -1, true);
    return dn_TD.sub_(normal_TD.mul(mean_T1)).mul_(rstd_T1).to(x_TD.scalar_type());
  }

  // The gradient of x + branch, that of the stream given; also in the dtype of the branch, where
  // there is one.
  Tensors backward(const at::Tensor& d_stream_TD, const at::Tensor& dy_TD, bool branch) const {
    if (!x_TD.is_cpu()) {
      const at::Tensor dx_TD = backward(dy_TD).add_(d_stream_TD);
      return branch ? Tensors{dx_TD, dx_TD.to(dy_TD.scalar_type())} : Tensors{dx_TD};
    }
    Tensors gradients{at::empty_like(x_TD)};
    if (branch) gradients.push_back(at::empty_like(dy_TD));
    cpu::residual_norm_backward(d_stream_TD, dy_TD, x_TD, rstd_T, scale_D, gradients[0],
                                branch ? gradients[1] : at::Tensor());
    return gradients;
  }

  void hand_over(const ForwardContext& context, const Parameter& weight,
                 const at::Tensor& dy_TD) const {
    if (!wanted) return;
    const at::Tensor& example_T = context.batch.example_id_T;
    const std::int64_t per_token = x_TD.size(0) / std::max<std::int64_t>(1, example_T.size(0));
    context.hand_over({ParameterUse::Kind::kScale,
                       weight,
                       x_TD,
                       dy_TD,
                       per_token > 1 ? example_T.repeat_interleave(per_token) : example_T,
                       {},
                       rstd_T});
  }
};

Residual record_residual(const ForwardContext& context, const Parameter& weight,
                         const Tensors& inputs, const Normalised& normalised,
                         const at::Tensor& stream_TD, const at::Tensor& normal_TD) {
  const bool branch = inputs.size() > 1;
  record(
      "residual_norm", inputs, Tensors{stream_TD, normal_TD},
      [&context, &weight, normalised, branch](const Tensors& dy) {
        const at::Tensor dy_TD = dy[1].contiguous();
        normalised.hand_over(context, weight, dy_TD);
        return normalised.backward(dy[0].contiguous(), dy_TD, branch);
      },
      beyond_if(normalised.wanted));
  return {stream_TD, normal_TD};
}

}  // namespace

at::Tensor rms_norm(const ForwardContext& context, const Parameter& weight, const at::Tensor& x_TD,
                    double eps, at::ScalarType dtype) {
  const Span span("rms_norm");
  Normalised normalised(context, weight, x_TD.detach().contiguous(), eps);
  const at::Tensor y_TD = normalised.forward(dtype);
  return record(
      "rms_norm", {x_TD}, y_TD,
      [&context, &weight, normalised](const Tensors& dy) -> Tensors {
        const at::Tensor dy_TD = dy[0].contiguous();
        normalised.hand_over(context, weight, dy_TD);
        return {normalised.backward(dy_TD)};
      },
      beyond_if(normalised.wanted));
}

Residual residual_norm(const ForwardContext& context, const Parameter& weight,
                       const at::Tensor& x_TD, double eps, at::ScalarType dtype) {
  const Span span("residual_norm");
  Normalised normalised(context, weight, x_TD.detach().contiguous(), eps);
  const at::Tensor normal_TD = normalised.forward(dtype);
  return record_residual(context, weight, {x_TD}, normalised, normalised.x_TD.detach(), normal_TD);
}

Residual add_residual_norm(const ForwardContext& context, const Parameter& weight,
                           const at::Tensor& x_TD, const at::Tensor& branch_TD, double eps) {
  const Span span("residual_norm");
  const at::Tensor x = x_TD.detach().contiguous(), branch = branch_TD.detach().contiguous();
  at::Tensor normal_TD;
  Normalised normalised(context, weight, x.is_cpu() ? at::empty_like(x) : x.add(branch), eps);
  if (x.is_cpu()) {
    normal_TD = at::empty_like(branch);
    cpu::add_rms_norm_forward(x, branch, normalised.scale_D, eps, normalised.x_TD, normal_TD,
                              normalised.rstd_T);
  } else {
    normal_TD = normalised.forward(branch.scalar_type());
  }
  return record_residual(context, weight, {x_TD, branch_TD}, normalised, normalised.x_TD.detach(),
                         normal_TD);
}

at::Tensor add_residual(const at::Tensor& x_TD, const at::Tensor& branch_TD) {
  const Span span("add_residual");
  const at::Tensor x = x_TD.detach().contiguous(), branch = branch_TD.detach().contiguous();
  const at::ScalarType dtype = branch.scalar_type();
  at::Tensor sum_TD;
  if (x.is_cpu()) {
    sum_TD = at::empty_like(x);
    cpu::add(x, branch, sum_TD);
  } else {
    sum_TD = x.add(branch);
  }
  return record("add_residual", {x_TD, branch_TD}, sum_TD, [dtype](const Tensors& dy) -> Tensors {
    return {dy[0], dy[0].to(dtype)};
  });
}

}  // namespace moesaic
