// The HDF5 chunks of a dataset: their shape, and their numbers row by row. Pure arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "arch/parameter_table.h"
#include "store/hdf5_spec.h"

namespace moesaic {

/// No chunk crosses a digest block (parallel/row_blocks.h). Experts: a slice, halved while it is
/// large and even, so that each chunk is written whole (a partial one would be read first). Dense:
/// rows up to about 1 MiB.
std::vector<std::int64_t> chunk_of(arch::Scope scope, const std::vector<std::int64_t>& shape,
                                   std::int64_t item_bytes);

class ChunkGrid {
 public:
  explicit ChunkGrid(const Hdf5Spec& spec);

  std::int64_t count() const;
  /// Those that hold rows [first, first + count) of the first dimension, which begin with a chunk
  /// and end with one or with the dataset: [begin, end).
  struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
  };
  Range of_rows(std::int64_t first, std::int64_t count) const;

  /// Index of its first value.
  std::vector<std::int64_t> start(std::int64_t chunk) const;

  /// Of one chunk: at the edge of a dataset they are as large, filled up with zeros.
  std::size_t bytes() const { return bytes_; }
  /// With the checksum after them.
  std::size_t stored_bytes() const { return bytes_ + sizeof(std::uint32_t); }

 private:
  std::vector<std::int64_t> chunk_;
  std::vector<std::int64_t> counts_;  // of chunks, along each dimension
  std::int64_t per_row_ = 1;          // chunks that share their first index
  std::size_t bytes_ = 0;
};

}  // namespace moesaic
