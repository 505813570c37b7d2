#include "nn/swiglu.h"

#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/sum.h>

#include "comm/trace_span.h"
#include "nn/autograd.h"

namespace moesaic {

at::Tensor swiglu(const at::Tensor& gate_TF, const at::Tensor& up_TF) {
  const Span span("swiglu");
  const at::Tensor gate = gate_TF.detach(), up = up_TF.detach();
  return record("swiglu", {gate_TF, up_TF}, at::silu(gate).mul_(up),
                [gate, up](const Tensors& dy) -> Tensors {
                  return {at::silu_backward(dy[0].mul(up), gate), at::silu(gate).mul_(dy[0])};
                });
}

at::Tensor weighted_swiglu(const at::Tensor& gate_RF, const at::Tensor& up_RF,
                           const at::Tensor& weight_R) {
  const Span span("weighted_swiglu");
  const at::Tensor gate = gate_RF.detach(), up = up_RF.detach();
  const at::Tensor weight_R1 = weight_R.detach().unsqueeze(1);
  const at::Tensor w = weight_R1.to(gate.scalar_type());
  const at::Tensor y = at::silu(gate).mul_(up).mul_(w);
  return record("weighted_swiglu", {gate_RF, up_RF, weight_R}, y,
                [=](const Tensors& dy) -> Tensors {
                  const at::Tensor silu = at::silu(gate);
                  const at::Tensor dy_silu = dy[0].mul(silu);
                  const at::Tensor d_weight =
                      at::sum(dy_silu.mul(up), at::IntArrayRef{1}, false, weight_R1.scalar_type());
                  const at::Tensor d_gate = at::silu_backward(dy[0].mul(up).mul_(w), gate);
                  return {d_gate, dy_silu.mul(w), d_weight};
                });
}

}  // namespace moesaic
