#include "store/chunk_grid.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/error.h"

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

ChunkGrid::ChunkGrid(const Hdf5Spec& spec) : chunk_(spec.chunk) {
  MOESAIC_ASSERT(!spec.shape.empty() && spec.shape.size() == spec.chunk.size());
  bytes_ = c10::elementSize(spec.dtype);
  for (std::size_t i = 0; i < chunk_.size(); ++i) {
    counts_.push_back((spec.shape[i] + chunk_[i] - 1) / chunk_[i]);
    if (i > 0) per_row_ *= counts_[i];
    bytes_ *= static_cast<std::size_t>(chunk_[i]);
  }
}

std::int64_t ChunkGrid::count() const { return counts_[0] * per_row_; }

ChunkGrid::Range ChunkGrid::of_rows(std::int64_t first, std::int64_t count) const {
  MOESAIC_ASSERT(first % chunk_[0] == 0);
  const std::int64_t end = (first + count + chunk_[0] - 1) / chunk_[0];
  return {first / chunk_[0] * per_row_, end * per_row_};
}

std::vector<std::int64_t> ChunkGrid::start(std::int64_t chunk) const {
  std::vector<std::int64_t> at(counts_.size());
  for (std::size_t i = counts_.size(); i-- > 0; chunk /= counts_[i]) {
    at[i] = chunk % counts_[i] * chunk_[i];
  }
  return at;
}

}  // namespace moesaic
