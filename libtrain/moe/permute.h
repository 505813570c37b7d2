// Reordering of token rows, recorded in the graph. A token has K copies, one for each chosen
// expert; copies are numbered t * K + k.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "data/batch.h"
#include "nn/group_offsets.h"

namespace moesaic {

/// Copies grouped by expert; inside an expert in the order of tokens. N places.
struct Grouping {
  at::Tensor token_N;    // int64: token at each place; T where the place is padding
  at::Tensor copy_N;     // int64: copy at each place; T K where the place is padding
  at::Tensor place_TK;   // int64: place of each copy; -1 where the copy goes nowhere
  at::Tensor count_E;    // int64: places of each expert
  GroupOffsets offsets;  // of the places of each expert
  bool whole = true;     // every copy has a place and every place a copy

  /// `expert_TK` with -1 for a copy that goes nowhere. With `padded_rows` every expert has so many
  /// places, which must hold its copies. `everywhere`: there is no -1; a device is then not asked
  /// for anything, and otherwise once.
  static Grouping make(const at::Tensor& expert_TK, std::int64_t experts,
                       std::int64_t padded_rows = 0, bool everywhere = false);
};

/// x_TD -> [N, D]: the copies in grouped order, zeros where there is padding.
at::Tensor scatter_to_groups(const at::Tensor& x_TD, const Grouping& grouping);

/// weight_TK -> [N]: as above, for one value a copy.
at::Tensor weights_in_groups(const at::Tensor& weight_TK, const Grouping& grouping);

/// Where the token at each place stands (Batch::place_T); some token where there is padding.
at::Tensor tokens_in_groups(const Batch& batch, const Grouping& grouping);

/// [N, D] -> [T, D]: the sum over the copies of each token, in the order of its choices (no
/// atomics).
at::Tensor gather_from_groups(const at::Tensor& y_ND, const Grouping& grouping);

/// The inverse of a permutation.
at::Tensor inverse_of(const at::Tensor& order_N);

/// Rows of x in the order `order_N`, a permutation with inverse `inverse_N`.
at::Tensor reorder(const at::Tensor& x_N, const at::Tensor& order_N, const at::Tensor& inverse_N);

}  // namespace moesaic
