// Causal attention on the CPU in tiles: the masked half is skipped, and neither scores nor
// probabilities of more than one tile exist (FlashAttention-2, Dao 2023, arXiv 2307.08691,
// algorithms 1 and 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moesaic::cpu {

struct CausalAttention {
  std::vector<std::int64_t> sequence_offsets;
  double scale = 1;
};

/// q [T, H, d], k [T, G, d], v [T, G, w], any strides but 1 in the last dimension, one dtype
/// (float32, bfloat16, float64) -> y [T, H, w] and log sum exp of the scores lse [T, H] (float32,
/// float64). Sums and softmax in float32 (float64); operands of the products are rounded to
/// bfloat16 where q has it, has_bfloat16_tiles(), and d and w are even.
void attention_forward(const CausalAttention& op, const at::Tensor& q, const at::Tensor& k,
                       const at::Tensor& v, const at::Tensor& y, const at::Tensor& lse);

/// Gradients of q, k, v (contiguous, all of each is written) from that of y. `y`, `lse`: results of
/// the forward pass.
void attention_backward(const CausalAttention& op, const at::Tensor& dy, const at::Tensor& q,
                        const at::Tensor& k, const at::Tensor& v, const at::Tensor& y,
                        const at::Tensor& lse, const at::Tensor& dq, const at::Tensor& dk,
                        const at::Tensor& dv);

}  // namespace moesaic::cpu
