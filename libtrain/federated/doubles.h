// The values of a host tensor of doubles, for what knows no tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

namespace moesaic {

/// `tensor` is contiguous, float64, on the host, and outlives it.
inline std::span<double> doubles_of(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<double>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace moesaic
