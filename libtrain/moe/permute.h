// Reordering of token rows, recorded in the graph. A token has K copies, one for each chosen
// expert; copies are numbered t * K + k.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moesaic {

/// Copies grouped by expert; inside an expert in the order of tokens.
struct Grouping {
  at::Tensor order_N;    // int64: copy at each place
  at::Tensor token_N;    // int64: its token
  at::Tensor inverse_N;  // int64: place of each copy
  std::int64_t copies_per_token = 1;

  static Grouping make(const at::Tensor& selected_TK);
};

/// x_TD -> [T K, D]: the copies in grouped order.
at::Tensor scatter_to_groups(const at::Tensor& x_TD, const Grouping& grouping);

/// [T K, D] -> [T, D]: the sum over the copies of each token, in the order of its choices (no
/// atomics).
at::Tensor gather_from_groups(const at::Tensor& y_ND, const Grouping& grouping);

/// The inverse of a permutation.
at::Tensor inverse_of(const at::Tensor& order_N);

/// Rows of x in the order `order_N`, a permutation with inverse `inverse_N`.
at::Tensor reorder(const at::Tensor& x_N, const at::Tensor& order_N, const at::Tensor& inverse_N);

}  // namespace moesaic
