#include "store/chunk_grid.h"

#include "core/error.h"

namespace moesaic {

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
