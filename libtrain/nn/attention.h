// Causal attention over ragged sequences.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "nn/kv_cache.h"

namespace moesaic {

/// Causal attention within each sequence: q [T, H, d], k [T, G, d] and v [T, G, w] with G dividing
/// H (grouped query attention) -> [T, H, w]. Sequence b is rows [offsets[b], offsets[b+1]). Scores
/// are q k^T times `scale`.
at::Tensor causal_attention(const at::Tensor& q_THd, const at::Tensor& k_TGd,
                            const at::Tensor& v_TGw,
                            const std::vector<std::int64_t>& sequence_offsets, double scale);

/// Attention of sequences whose last positions ask: sequence b is rows [offsets[b], offsets[b+1])
/// of q [T, H, d], which are the last of its L rows seen[b], k [L, G, d] and v [L, G, w] -> [T, H,
/// w], summed in `sums`. Each as if it were alone. No gradient.
at::Tensor attention_to_earlier(const at::Tensor& q_THd, std::span<const KvCache::Rows> seen,
                                const std::vector<std::int64_t>& sequence_offsets, double scale,
                                at::ScalarType sums);

}  // namespace moesaic
