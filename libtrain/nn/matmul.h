// The one place that multiplies matrices.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace moesaic {

class Communicator;

enum class MatmulKernel { kMkl, kOneDnn };

/// The kernel family for this machine: a pure function of the recipe's `train.matmul` (auto | mkl |
/// onednn) and the processor's flags. `auto`: oneDNN on processors with AVX-512
/// (docs/results/speed.md), MKL elsewhere.
MatmulKernel choose_matmul(const std::string& requested);
/// Collective over world: the chief's choice, which all ranks use.
MatmulKernel chiefs_matmul(const Communicator& world, const std::string& requested);
const char* name_of(MatmulKernel kernel);

/// a_MK b_NK^T -> [M, N], in the dtype of the operands. Either may be a transposed view; no
/// dimension need be positive. float64 and device tensors always go to LibTorch's own product.
at::Tensor product(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel);

}  // namespace moesaic
