// SwiGLU on the CPU, one pass in each direction.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

/// gate, up, y [R, F] contiguous, one dtype: y = silu(gate) up weight, with weight [R] in float32
/// (float64 with float64 tensors), or undefined for 1.
void swiglu_forward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& weight,
                    const at::Tensor& y);

/// Gradients of gate and up [R, F], and of weight [R] when there is one.
void swiglu_backward(const at::Tensor& dy, const at::Tensor& gate, const at::Tensor& up,
                     const at::Tensor& weight, const at::Tensor& dgate, const at::Tensor& dup,
                     const at::Tensor& dweight);

}  // namespace moesaic::cpu
