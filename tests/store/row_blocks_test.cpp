#include "store/row_blocks.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

using arch::Scope;
using Shape = std::vector<std::int64_t>;

TEST(RowBlocks, AreSingleExpertsOr4096DenseRowsWithAShortLastOne) {
  EXPECT_EQ(RowBlocks::of(Scope::kExpert, 12).count(), 12);
  EXPECT_EQ(RowBlocks::of(Scope::kDense, 1).count(), 1);
  EXPECT_EQ(RowBlocks::of(Scope::kDense, 4096).count(), 1);
  const RowBlocks blocks = RowBlocks::of(Scope::kDense, 9001);
  EXPECT_EQ(blocks.count(), 3);
  EXPECT_EQ(blocks.num_rows(0), 4096);
  EXPECT_EQ(blocks.num_rows(2), 9001 - 8192);
  EXPECT_EQ(blocks.num_rows(1, 2), 9001 - 4096);
}

TEST(RowBlocks, OfAWideTensorAreTakenOneByOne) {
  EXPECT_EQ(RowBlocks::of(Scope::kDense, 50000).blocks_in(1 << 20, 1 << 20), 1);
  EXPECT_EQ(RowBlocks::of(Scope::kExpert, 64).blocks_in(1 << 20, 1 << 18), 4);
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
