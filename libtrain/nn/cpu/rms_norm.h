// RMSNorm on the CPU, one pass over the rows in each direction, and with the additions of the
// residual stream around it.
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

/// As rms_norm_forward of sum = x + branch, which is written, too. x and sum: float32 (float64),
/// branch and y of one dtype.
void add_rms_norm_forward(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& scale,
                          double eps, const at::Tensor& sum, const at::Tensor& y,
                          const at::Tensor& rstd);

/// dx = d_stream + the gradient through the norm; d_branch, unless undefined: dx in the dtype of
/// dy. x: float32 (float64).
void residual_norm_backward(const at::Tensor& d_stream, const at::Tensor& dy, const at::Tensor& x,
                            const at::Tensor& rstd, const at::Tensor& scale, const at::Tensor& dx,
                            const at::Tensor& d_branch);

/// sum = x + branch, in the dtype of x.
void add(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& sum);

/// sum_D += sum over the rows of dy x rstd: the gradient of the scale.
void add_scale_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                        const at::Tensor& sum_D);

}  // namespace moesaic::cpu
