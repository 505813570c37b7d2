// Movement of rows on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

/// out [T, D] = for each token the sum of its K rows of y, row place[t K + k] for k in order (none
/// where that is -1), added up in float32 (float64).
void sum_of_rows(const at::Tensor& y, const at::Tensor& place, const at::Tensor& out);

/// sum_VD[index[t]] += y_TD[t] for t in order; float32 or float64, the same in both.
void add_to_rows(const at::Tensor& y_TD, const at::Tensor& index_T, const at::Tensor& sum_VD);

}  // namespace moesaic::cpu
