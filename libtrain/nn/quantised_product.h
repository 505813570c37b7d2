// Products with a weight that is kept as codes. Numbers are made of one matrix at a time, of the
// blocks of a file in pieces, or for a few rows in registers alone.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/matmul.h"
#include "parallel/quantised_weight.h"

namespace moesaic {

/// out = x times matrix i of the weight^T [.., N]; `transposed`: x times the matrix [.., K]. In the
/// dtype of x.
void product_into(const at::Tensor& x, const QuantisedWeight& weight, std::int64_t i,
                  bool transposed, MatmulKernel kernel, const at::Tensor& out);

}  // namespace moesaic
