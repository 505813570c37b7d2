// Rotary position embedding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "arch/rope.h"
#include "data/batch.h"

namespace moesaic {

/// cos and sin of the rotary angles, [T, 1, dim / 2] each (Su et al. 2021), times the attention
/// factor of the variant. Frequencies and angles are float32 in every run, as in Transformers: the
/// same positions then mean the same angles, to the last bit, as where the weights come from.
struct RotaryTable {
  at::Tensor cos_T1F;
  at::Tensor sin_T1F;
  bool interleaved = false;

  /// Positions of `batch`; with `dynamic` the frequencies of an attention span follow from its own
  /// length. `dim` is the rotated width of a head.
  static RotaryTable make(const Batch& batch, const arch::Rope& rope,
                          std::int64_t max_position_embeddings, std::int64_t dim,
                          at::ScalarType dtype);
};

/// Rotates pairs of each head of x_THd [T, H, d]: (i, i + d / 2), or (2i, 2i + 1) when the table is
/// interleaved; the result has the first elements of all pairs, then the second ones.
at::Tensor rotate(const at::Tensor& x_THd, const RotaryTable& table);

}  // namespace moesaic
