#include "store/chunk_grid.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

using arch::Scope;
using Shape = std::vector<std::int64_t>;

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

TEST(Chunk, OfDenseRowsDividesTheBlockAndHoldsAboutAMebibyte) {
  EXPECT_EQ(chunk_of(Scope::kDense, {9001, 512}, 4), (Shape{512, 512}));
  EXPECT_EQ(chunk_of(Scope::kDense, {50000}, 4), (Shape{4096}));
  EXPECT_EQ(chunk_of(Scope::kDense, {7}, 8), (Shape{7}));
  EXPECT_EQ(chunk_of(Scope::kDense, {3, 1 << 20}, 4), (Shape{1, 1 << 20}));
}

TEST(Chunk, OfAnExpertIsItsSliceHalvedWhileItIsLargeAndEven) {
  EXPECT_EQ(chunk_of(Scope::kExpert, {64, 1024, 2048}, 4), (Shape{1, 1024, 2048}));
  EXPECT_EQ(chunk_of(Scope::kExpert, {8, 14336, 4096}, 4), (Shape{1, 1792, 4096}));
  EXPECT_EQ(chunk_of(Scope::kExpert, {8, 9999, 1024}, 4),
            (Shape{1, 9999, 512}));  // whole chunks only
}

}  // namespace
}  // namespace moesaic
