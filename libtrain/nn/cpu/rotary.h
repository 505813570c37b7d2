// Rotation of the pairs of each head on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

/// x [T, H, d] contiguous, cos and sin [T, 1, d / 2] in float32 (float64 with float64 tensors) -> y
/// like x. Pairs of x are (i, i + d / 2), or (2 i, 2 i + 1) when `interleaved`; those of y are
/// (i, i + d / 2).
void rotate_forward(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                    bool interleaved, const at::Tensor& y);

/// The transposed map: dy -> dx.
void rotate_backward(const at::Tensor& dy, const at::Tensor& cos, const at::Tensor& sin,
                     bool interleaved, const at::Tensor& dx);

}  // namespace moesaic::cpu
