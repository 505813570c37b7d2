// Batch: one micro-batch, ragged and flat. Shapes: T tokens, B sequences.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moesaic {

/// Target value of a position that has no target.
inline constexpr std::int64_t kNoTarget = -100;

struct Batch {
  at::Tensor ids_T;         // int64
  at::Tensor targets_T;     // int64, the next token, or kNoTarget
  at::Tensor positions_T;   // int64, position within its sequence
  at::Tensor example_id_T;  // int64, global index of the sequence within the step
  std::vector<std::int64_t> sequence_offsets = {0};  // B + 1 offsets into T

  std::int64_t tokens() const { return sequence_offsets.back(); }
  std::int64_t sequences() const { return static_cast<std::int64_t>(sequence_offsets.size()) - 1; }
};

/// For each position the id of the token `ahead` places behind it in its sequence, 0 where none is
/// known: the last target is.
at::Tensor ids_ahead(const Batch& batch, std::int64_t ahead);
/// For each position what is to be predicted `ahead` places behind it, or kNoTarget.
at::Tensor targets_ahead(const Batch& batch, std::int64_t ahead);

/// The same on another device.
Batch to_device(const Batch& batch, at::Device device);

/// A micro-batch without sequences: a rank without one joins the collectives with it.
Batch empty_batch();

}  // namespace moesaic
