// Products of a few rows with a weight, as when one token is generated: the weight is read once, in
// the type that it is stored in, and nothing is packed. Of one row limited by memory alone.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

inline constexpr std::int64_t kFewRows = 4;

/// Whether row_product takes these two: rows of float32 or bfloat16, and a weight of float32 or
/// bfloat16 with its rows in memory. Of more than kFewRows rows other products are faster.
bool has_row_product(const at::Tensor& a_MK, const at::Tensor& b_NK);

/// out_MN = a_MK b_NK^T, in the dtype of a, summed in float32. The two dtypes may differ. A row has
/// the same bits whatever the others are, and however many.
void row_product(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& out_MN);

}  // namespace moesaic::cpu
