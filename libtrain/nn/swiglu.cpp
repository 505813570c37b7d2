#include "nn/swiglu.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>

#include "comm/trace_span.h"
#include "nn/autograd.h"
#include "nn/cpu/swiglu.h"

namespace moesaic {
namespace {

// An undefined weight stands for 1.
at::Tensor forward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& weight_R) {
  if (gate.is_cpu()) {
    const at::Tensor y = at::empty_like(gate);
    cpu::swiglu_forward(gate, up, weight_R, y);
    return y;
  }
  const at::Tensor y = at::silu(gate).mul_(up);
  return weight_R.defined() ? y.mul(weight_R.unsqueeze(1).to(y.scalar_type())) : y;
}

// Gradients of gate, up and, where there is one, weight.
Tensors backward(const at::Tensor& dy, const at::Tensor& gate, const at::Tensor& up,
                 const at::Tensor& weight_R) {
  const bool weighted = weight_R.defined();
  if (gate.is_cpu()) {
    Tensors gradients{at::empty_like(gate), at::empty_like(up)};
    if (weighted) gradients.push_back(at::empty_like(weight_R));
    cpu::swiglu_backward(dy.contiguous(), gate, up, weight_R, gradients[0], gradients[1],
                         weighted ? gradients[2] : at::Tensor());
    return gradients;
  }
  const at::Tensor silu = at::silu(gate);
  if (!weighted) return {at::silu_backward(dy.mul(up), gate), silu.mul(dy)};
  const at::Tensor w = weight_R.unsqueeze(1).to(gate.scalar_type()), dy_silu = dy.mul(silu);
  return {at::silu_backward(dy.mul(up).mul_(w), gate), dy_silu.mul(w),
          dy_silu.mul(up).sum(at::IntArrayRef{1}, false, weight_R.scalar_type())};
}

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_TF, const at::Tensor& up_TF) {
  const Span span("swiglu");
  const at::Tensor gate = gate_TF.detach().contiguous(), up = up_TF.detach().contiguous();
  return record("swiglu", {gate_TF, up_TF}, forward(gate, up, {}),
                [=](const Tensors& dy) { return backward(dy[0], gate, up, {}); });
}

at::Tensor weighted_swiglu(const at::Tensor& gate_RF, const at::Tensor& up_RF,
                           const at::Tensor& weight_R) {
  const Span span("weighted_swiglu");
  const at::Tensor gate = gate_RF.detach().contiguous(), up = up_RF.detach().contiguous();
  const at::Tensor weight = weight_R.detach().contiguous();
  return record("weighted_swiglu", {gate_RF, up_RF, weight_R}, forward(gate, up, weight),
                [=](const Tensors& dy) { return backward(dy[0], gate, up, weight); });
}

}  // namespace moesaic
