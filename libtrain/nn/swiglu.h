// SwiGLU (Shazeer 2020): silu(gate) * up, and its form for experts with the gate weight of each row
// folded in.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic {

/// [T, F], [T, F] -> [T, F]
at::Tensor swiglu(const at::Tensor& gate_TF, const at::Tensor& up_TF);

/// silu(gate) * up * weight_R[:, None]: the router's weight, applied before the down projection,
/// which has no bias and so commutes with it; the experts' outputs need not be kept for the
/// gradient of the weight.
at::Tensor weighted_swiglu(const at::Tensor& gate_RF, const at::Tensor& up_RF,
                           const at::Tensor& weight_R);

}  // namespace moesaic
