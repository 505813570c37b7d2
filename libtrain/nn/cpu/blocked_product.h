// Float32 matrix products from tiles (nn/cpu/tile_product.h), for results that are written or added
// where they belong: LibTorch's way to oneDNN makes a new tensor each time.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

/// out_MN = a_MK b_NK^T. Row-major, any row strides.
void product_transposed(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& out_MN);

/// out_MN = a_MK b_KN. Row-major, any row strides.
void product_plain(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& out_MN);

/// sum_MN += a_TM^T b_TN. Row-major, any row strides.
void add_product_of_rows(const at::Tensor& a_TM, const at::Tensor& b_TN, const at::Tensor& sum_MN);

}  // namespace moesaic::cpu
