#include "store/chunk_grid.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

ChunkGrid grid_of(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& chunk) {
  return ChunkGrid({.name = "x", .shape = shape, .dtype = at::kFloat, .chunk = chunk});
}

TEST(ChunkGrid, NumbersChunksRowByRow) {
  const ChunkGrid grid = grid_of({5, 4, 6}, {2, 4, 3});
  EXPECT_EQ(grid.count(), 6);
  EXPECT_EQ(grid.start(0), (std::vector<std::int64_t>{0, 0, 0}));
  EXPECT_EQ(grid.start(1), (std::vector<std::int64_t>{0, 0, 3}));
  EXPECT_EQ(grid.start(5), (std::vector<std::int64_t>{4, 0, 3}));
}

TEST(ChunkGrid, KnowsTheChunksOfRows) {
  const ChunkGrid grid = grid_of({5, 4, 6}, {2, 4, 3});
  EXPECT_EQ(grid.of_rows(2, 2).begin, 2);
  EXPECT_EQ(grid.of_rows(2, 2).end, 4);
  EXPECT_EQ(grid.of_rows(2, 3).end, 6);  // the last chunk is not full
}

TEST(ChunkGrid, CountsTheWholeChunkAtTheEdge) {
  const ChunkGrid grid = grid_of({5, 4, 6}, {2, 4, 3});
  EXPECT_EQ(grid.bytes(), 2U * 4 * 3 * 4);
  EXPECT_EQ(grid.stored_bytes(), grid.bytes() + 4);
}

}  // namespace
}  // namespace moesaic
