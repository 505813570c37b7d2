#include "store/row_blocks.h"

#include <functional>
#include <numeric>

namespace moesaic {
namespace {

constexpr std::int64_t kDenseChunkBytes = 1 << 20;  // HDF5's chunk cache holds one of these
constexpr std::int64_t kLargestChunkBytes = 32 << 20;

std::int64_t bytes_of(const std::vector<std::int64_t>& chunk, std::int64_t item_bytes) {
  return std::accumulate(chunk.begin(), chunk.end(), item_bytes, std::multiplies<>());
}

}  // namespace

std::vector<std::int64_t> chunk_of(arch::Scope scope, const std::vector<std::int64_t>& shape,
                                   std::int64_t item_bytes) {
  std::vector<std::int64_t> chunk = shape;
  chunk[0] = 1;
  for (std::size_t i = 1; i < chunk.size(); ++i) {
    while (chunk[i] % 2 == 0 && bytes_of(chunk, item_bytes) > kLargestChunkBytes) chunk[i] /= 2;
  }
  if (scope == arch::Scope::kExpert) return chunk;
  // A power of two up to the block size divides the block; only the last chunk of a tensor is
  // partial.
  while (chunk[0] < 4096 && chunk[0] < shape[0] &&
         2 * bytes_of(chunk, item_bytes) <= kDenseChunkBytes) {
    chunk[0] *= 2;
  }
  chunk[0] = std::min(chunk[0], shape[0]);
  return chunk;
}

}  // namespace moesaic
