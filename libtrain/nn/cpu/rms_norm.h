// RMSNorm on the CPU, one pass over the rows in each direction.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

/// x [R, D] contiguous -> y [R, D] = x rstd scale and rstd [R] = (mean(x^2) + eps)^-1/2. Statistics
/// and `scale` [D] in float32 (float64 with float64 tensors); x and y in any dtype.
void rms_norm_forward(const at::Tensor& x, const at::Tensor& scale, double eps, const at::Tensor& y,
                      const at::Tensor& rstd);

/// dx [R, D], in the dtype of x, from dy [R, D].
void rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                       const at::Tensor& scale, const at::Tensor& dx);

/// sum_D += sum over the rows of dy x rstd: the gradient of the scale.
void add_scale_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                        const at::Tensor& sum_D);

}  // namespace moesaic::cpu
