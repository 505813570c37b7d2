// Matrix products from tiles (nn/cpu/tile_product.h), for results that are written or added where
// they belong: LibTorch's way to oneDNN makes a new tensor each time, and code for each number of
// rows that an expert gets.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

/// Whether the products below take operands of this dtype on this machine: float32, and bfloat16
/// where has_bfloat16_tiles().
bool has_blocked_product(at::ScalarType dtype);

/// out_MN = a_MK b_NK^T, or out_MN += a_MK b_NK^T when `add`. Row-major, any row strides; bfloat16:
/// K and the strides are even, and b may be float32, which is rounded where it is brought into
/// place.
void product_transposed(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& out_MN,
                        bool add = false);

/// As above of a_MK b_KN. Row-major, any row strides; bfloat16: K is even, and b may be float32.
void product_plain(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& out_MN,
                   bool add = false);

/// sum_MN += a_TM^T b_TN; `sum` is float32. Row-major, any row strides.
void add_product_of_rows(const at::Tensor& a_TM, const at::Tensor& b_TN, const at::Tensor& sum_MN);

}  // namespace moesaic::cpu
