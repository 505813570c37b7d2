#include "parallel/row_blocks.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

using arch::Scope;

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

TEST(RowBlocks, KnowWhichRowsAreWholeBlocks) {
  const RowBlocks dense = RowBlocks::of(Scope::kDense, 9001);
  for (const RowRange& whole : {RowRange{0, 9001}, RowRange{4096, 4096}, RowRange{8192, 809},
                                RowRange{4096, 0}, RowRange{9001, 0}, RowRange{0, 0}}) {
    EXPECT_TRUE(dense.are_whole(whole)) << whole.first << " " << whole.count;
  }
  for (const RowRange& other :
       {RowRange{1, 0}, RowRange{0, 4095}, RowRange{4096, 4097}, RowRange{8192, 810},
        RowRange{12288, 0}, RowRange{-4096, 4096}, RowRange{4096, -4096}}) {
    EXPECT_FALSE(dense.are_whole(other)) << other.first << " " << other.count;
  }
  EXPECT_TRUE(RowBlocks::of(Scope::kExpert, 12).are_whole({5, 7}));
  EXPECT_FALSE(RowBlocks::of(Scope::kExpert, 12).are_whole({5, 8}));
  EXPECT_EQ(dense.block_from(4096), 1);
  EXPECT_EQ(dense.block_from(9001), dense.count());
}

}  // namespace
}  // namespace moesaic
