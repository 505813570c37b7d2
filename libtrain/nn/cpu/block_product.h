// Products of rows with a weight that is kept in the blocks of a GGUF file: its bytes are read
// once, and no matrix of its numbers is made.
#pragma once

#include <ATen/core/Tensor.h>

#include "config/gguf_header.h"

namespace moesaic::cpu {

/// More rows are multiplied by the numbers (nn/quantised_product.h).
inline constexpr std::int64_t kFewBlockRows = 16;

/// Whether block_product takes these rows: at most kFewBlockRows of float32 or bfloat16.
bool has_block_product(const at::Tensor& a_MK);

/// out_MN = a_MK b_NK^T, in the dtype of a, of float32 numbers and summed in float32. `b_NB` has
/// the bytes of b's rows. The same bits for any number of threads.
void block_product(const at::Tensor& a_MK, const GgufTensorType& type, const at::Tensor& b_NB,
                   const at::Tensor& out_MN);

/// The same by plain loops, on every processor.
void block_product_portably(const at::Tensor& a_MK, const GgufTensorType& type,
                            const at::Tensor& b_NB, const at::Tensor& out_MN);

}  // namespace moesaic::cpu
