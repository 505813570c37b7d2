// RMSNorm (Zhang and Sennrich 2019, eq. 4) and the residual stream that it reads: statistics and
// stream in the master dtype.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"

namespace moesaic {

/// RMSNorm over the last dimension, result in `dtype`. x is [T, D], or [T H, D] with the H heads of
/// a token in a row.
at::Tensor rms_norm(const ForwardContext& context, const Parameter& weight, const at::Tensor& x_TD,
                    double eps, at::ScalarType dtype);

struct Residual {
  at::Tensor stream_TD, normal_TD;
};

/// stream = x, normal = RMSNorm(x) in `dtype`: where x goes on beside the norm, take it from here.
/// The gradients of both come back in one pass.
Residual residual_norm(const ForwardContext& context, const Parameter& weight,
                       const at::Tensor& x_TD, double eps, at::ScalarType dtype);

/// stream = x + branch, normal = RMSNorm(stream) in the dtype of `branch`, in one pass.
Residual add_residual_norm(const ForwardContext& context, const Parameter& weight,
                           const at::Tensor& x_TD, const at::Tensor& branch_TD, double eps);

/// x + branch in the dtype of x.
at::Tensor add_residual(const at::Tensor& x_TD, const at::Tensor& branch_TD);

}  // namespace moesaic
