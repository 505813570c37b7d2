// Values of a tensor for the metrics.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace moesaic {

inline std::vector<double> host_values(const at::Tensor& values) {
  const at::Tensor host = values.detach().to(at::kDouble).cpu().contiguous();
  const double* data = host.const_data_ptr<double>();
  return std::vector<double>(data, data + host.numel());
}

}  // namespace moesaic
