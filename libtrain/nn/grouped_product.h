// Products of groups of rows with a matrix each: the experts of a rank, one after the other, or on
// a device, where its kernel fits, in one call that needs no number of the host.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "nn/group_offsets.h"
#include "nn/matmul.h"
#include "parallel/quantised_weight.h"

namespace moesaic {

/// Group e of x_RK times w_eNK[e]^T -> [R, N]; `transposed`: of x_RN times w_eNK[e] -> [R, K]. In
/// the dtype of x. Calls `progress`, unless empty, after each group.
at::Tensor grouped_product(const at::Tensor& x, const at::Tensor& w_eNK, bool transposed,
                           const GroupOffsets& offsets, MatmulKernel kernel,
                           const std::function<void()>& progress = {});

/// As above with a weight that is kept quantised: the numbers of one matrix are there at a time,
/// and none of a group without rows.
at::Tensor grouped_product(const at::Tensor& x, const QuantisedWeight& w_eNK, bool transposed,
                           const GroupOffsets& offsets, MatmulKernel kernel,
                           const std::function<void()>& progress = {});

/// The first product added to `sum`, row-major and in the dtype of x.
void add_grouped_product(const at::Tensor& x, const at::Tensor& w_eNK, bool transposed,
                         const GroupOffsets& offsets, MatmulKernel kernel, const at::Tensor& sum,
                         const std::function<void()>& progress = {});

/// sum_eMN[e] += a_RM^T b_RN over the rows of group e: the gradient of the weights.
void add_grouped_product_of_rows(const at::Tensor& a_RM, const at::Tensor& b_RN,
                                 const GroupOffsets& offsets, MatmulKernel kernel,
                                 const at::Tensor& sum_eMN,
                                 const std::function<void()>& progress = {});

/// The first and the last of them in one call for all groups, on any device: bfloat16, or what else
/// the kernel takes.
namespace in_one_call {
at::Tensor grouped_product(const at::Tensor& x, const at::Tensor& w_eNK, bool transposed,
                           const GroupOffsets& offsets);
void add_grouped_product_of_rows(const at::Tensor& a_RM, const at::Tensor& b_RN,
                                 const GroupOffsets& offsets, const at::Tensor& sum_eMN);
}  // namespace in_one_call

}  // namespace moesaic
