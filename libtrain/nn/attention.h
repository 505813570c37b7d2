// Rotary position embedding and causal attention over ragged sequences.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moesaic {

/// cos and sin of the rotary angles, [T, 1, head_dim / 2] each (Su et al. 2021; Hugging Face's
/// half-split pairs).
struct RotaryTable {
  at::Tensor cos_T1F;
  at::Tensor sin_T1F;

  static RotaryTable make(const at::Tensor& positions_T, std::int64_t head_dim, double theta,
                          at::ScalarType dtype);
};

/// Rotates pairs (i, i + head_dim / 2) of each head: x_THd [T, H, head_dim].
at::Tensor rotate(const at::Tensor& x_THd, const RotaryTable& table);

/// Causal attention within each sequence: q [T, H, d], k and v [T, G, d] with G dividing H (grouped
/// query attention) -> [T, H, d]. Sequence b is rows [offsets[b], offsets[b+1]). Scale 1 / sqrt(d).
at::Tensor causal_attention(const at::Tensor& q_THd, const at::Tensor& k_TGd,
                            const at::Tensor& v_TGd,
                            const std::vector<std::int64_t>& sequence_offsets);

}  // namespace moesaic
