// How a tensor is cut into digest blocks and HDF5 chunks. Pure arithmetic.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "arch/parameter_table.h"

namespace moesaic {

/// The rows (indices of the first dimension) that share one digest: one expert, or 4,096 rows of a
/// dense tensor. A block is written by one rank.
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
};

/// No chunk crosses a block. Experts: a slice, halved while it is large and even, so that each
/// chunk is written whole (a partial one would be read first). Dense: rows up to about 1 MiB.
std::vector<std::int64_t> chunk_of(arch::Scope scope, const std::vector<std::int64_t>& shape,
                                   std::int64_t item_bytes);

}  // namespace moesaic
