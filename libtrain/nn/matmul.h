// The one place that multiplies matrices.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace moesaic {

class Communicator;

/// kRows: each row of the left operand as if it were alone, so that texts that are generated
/// together are those that are generated one by one (float32 and bfloat16 on a CPU; other products
/// as with kMkl).
enum class MatmulKernel { kMkl, kOneDnn, kRows };

/// The kernel family for this machine: a pure function of the recipe's `train.matmul` (auto | mkl |
/// onednn) and the processor's flags. `auto`: oneDNN on processors with AVX-512
/// (docs/results/speed.md), MKL elsewhere. It decides about float32 on a CPU, and `onednn` about
/// bfloat16 where the processor multiplies it; every other product is LibTorch's own.
MatmulKernel choose_matmul(const std::string& requested);
/// Collective over world: the chief's choice, which all ranks use (for bfloat16, as far as their
/// processor can).
MatmulKernel chiefs_matmul(const Communicator& world, const std::string& requested);
const char* name_of(MatmulKernel kernel);

/// Whether products with left operands of `dtype` take b_NK (or a stack of such) as it is, without
/// a copy in `dtype`, also transposed.
bool rounds_right(at::ScalarType dtype, const at::Tensor& b_NK, MatmulKernel kernel);
/// Whether the product of float32 rows, a few or by kRows, takes b_NK in bfloat16 as it is, to the
/// same values as with a float32 copy of it.
bool widens_right(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel);
/// Whether products with that many rows are those of single rows.
bool multiplies_rows(std::int64_t rows, MatmulKernel kernel);

/// a_MK b_NK^T -> [M, N], in the dtype of a, to which b is rounded. Either may be a transposed
/// view; no dimension need be positive.
at::Tensor product(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel);

/// As above, written to out_MN, whose rows may lie apart.
void product_into(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel,
                  const at::Tensor& out_MN);

/// sum_MN += a_MK b_NK^T, `sum` in the dtype of a; its rows may lie apart.
void add_product(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel,
                 const at::Tensor& sum_MN);

/// sum_MN += a_TM^T b_TN: the gradient of a weight. `sum` may be wider than the operands (float32
/// and bfloat16).
void add_product_of_rows(const at::Tensor& a_TM, const at::Tensor& b_TN, MatmulKernel kernel,
                         at::Tensor sum_MN);

}  // namespace moesaic
