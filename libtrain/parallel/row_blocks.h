// How a tensor is cut into digest blocks: the unit in which state is owned, saved and loaded. Pure
// arithmetic.
#pragma once

#include <algorithm>
#include <cstdint>

#include "arch/parameter_table.h"

namespace moesaic {

/// Rows (indices of the first dimension) that lie one after the other; perhaps none.
struct RowRange {
  std::int64_t first = 0;
  std::int64_t count = 0;

  std::int64_t end() const { return first + count; }
  bool operator==(const RowRange&) const = default;
};

/// The rows that share one digest: one expert, or 4,096 rows of a dense tensor. A block is owned,
/// and written, by one rank.
struct RowBlocks {
  std::int64_t rows = 0;
  std::int64_t rows_per_block = 1;

  static RowBlocks of(arch::Scope scope, std::int64_t rows) {
    return {rows, scope == arch::Scope::kExpert ? 1 : 4096};
  }

  std::int64_t count() const { return (rows + rows_per_block - 1) / rows_per_block; }
  std::int64_t first_row(std::int64_t block) const {
    return std::min(block * rows_per_block, rows);
  }
  /// Rows of `count` blocks from `block` on; the last block may be short.
  std::int64_t num_rows(std::int64_t block, std::int64_t count = 1) const {
    return first_row(block + count) - first_row(block);
  }
  /// Blocks that fit into `bytes`, at least one.
  std::int64_t blocks_in(std::int64_t bytes, std::int64_t row_bytes) const {
    return std::max<std::int64_t>(1, bytes / (row_bytes * rows_per_block));
  }

  /// Whether these are rows of the tensor, and whole blocks (perhaps none).
  bool are_whole(const RowRange& range) const {
    const auto is_cut = [&](std::int64_t row) { return row % rows_per_block == 0 || row == rows; };
    return range.first >= 0 && range.count >= 0 && range.first <= rows &&
           range.count <= rows - range.first && is_cut(range.first) && is_cut(range.end());
  }
  /// The first block that begins at `row` or after it; count() where there is none.
  std::int64_t block_from(std::int64_t row) const {
    return (row + rows_per_block - 1) / rows_per_block;
  }
};

}  // namespace moesaic
