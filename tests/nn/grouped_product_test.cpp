// Products of groups of rows: all groups in one call against one group after the other.
#include "nn/grouped_product.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace moesaic {
namespace {

// Groups without rows stand first, in the middle and last.
const std::vector<std::int64_t> kOffsets = {0, 0, 5, 5, 24, 27, 27};
constexpr std::int64_t kGroups = 6, kRows = 27, kIn = 16, kOut = 24;

TEST(GroupedProduct, InOneCallGivesTheProductsOfEachGroup) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const double close = dtype == at::kFloat ? 1e-5 : 2e-2;
    const auto x = at::randn({kRows, kIn}).to(dtype), dy = at::randn({kRows, kOut}).to(dtype);
    const auto w = at::randn({kGroups, kOut, kIn}).to(dtype);
    const GroupOffsets offsets(kOffsets);
    const auto loop = [&](const at::Tensor& rows, bool transposed) {
      return grouped_product(rows, w, transposed, offsets, MatmulKernel::kMkl).to(at::kFloat);
    };
    const auto y = in_one_call::grouped_product(x, w, false, offsets).to(at::kFloat);
    const auto dx = in_one_call::grouped_product(dy, w, true, offsets).to(at::kFloat);
    EXPECT_TRUE(at::allclose(y, loop(x, false), close, close));
    EXPECT_TRUE(at::allclose(dx, loop(dy, true), close, close));

    for (const bool transposed : {false, true}) {
      const auto& rows = transposed ? dy : x;
      const auto there = at::randn({kRows, transposed ? kIn : kOut}).to(dtype);
      const auto added = there.clone();
      add_grouped_product(rows, w, transposed, offsets, MatmulKernel::kMkl, added);
      EXPECT_TRUE(at::allclose(added.to(at::kFloat),
                               there.to(at::kFloat).add(loop(rows, transposed)), close, close));
    }

    const auto sum = at::randn({kGroups, kOut, kIn}), expected = sum.clone();
    in_one_call::add_grouped_product_of_rows(dy, x, offsets, sum);
    add_grouped_product_of_rows(dy, x, offsets, MatmulKernel::kMkl, expected);
    EXPECT_TRUE(at::allclose(sum, expected, close, close));
  }
}

TEST(GroupedProduct, TellsProgressAfterEachGroup) {
  int calls = 0;
  const auto x = at::randn({kRows, kIn});
  grouped_product(x, at::randn({kGroups, kOut, kIn}), false, GroupOffsets(kOffsets),
                  MatmulKernel::kMkl, [&] { ++calls; });
  EXPECT_EQ(calls, kGroups);
}

TEST(GroupOffsets, ComeFromTheRowsOfEachGroup) {
  const auto rows = at::zeros({kRows});
  const auto counts = at::tensor(kOffsets, at::kLong).diff();
  for (const GroupOffsets& offsets : {GroupOffsets(counts), GroupOffsets(kOffsets)}) {
    EXPECT_EQ(offsets.groups(), kGroups);
    EXPECT_EQ(offsets.host(), kOffsets);
    EXPECT_TRUE(offsets.ends(rows).equal(at::tensor({0, 5, 5, 24, 27, 27}, at::kInt)));
    EXPECT_TRUE(offsets.empty_groups(rows).equal(counts.eq(0)));
  }
  EXPECT_EQ(GroupOffsets().groups(), 0);
}

// The meta device holds no values: whoever asks for one gets an exception.
TEST(GroupOffsets, OfADeviceComeToTheHostOnlyWhereSomebodyAsks) {
  const auto meta = at::TensorOptions(at::kMeta).dtype(at::kLong);
  const GroupOffsets alone(at::empty({kGroups}, meta));
  const auto rows = at::empty({kRows}, meta);
  EXPECT_EQ(alone.groups(), kGroups);
  EXPECT_EQ(alone.ends(rows).size(0), kGroups);
  EXPECT_EQ(alone.empty_groups(rows).size(0), kGroups);
  EXPECT_ANY_THROW(alone.host());
  const GroupOffsets known(at::empty({2}, meta), {4, 3});
  EXPECT_EQ(known.host(), std::vector<std::int64_t>({0, 4, 7}));
}

TEST(CountOf, CountsOnAnyDevice) {
  const auto values = at::tensor({2, 0, 2, 4, 2, 0}, at::kLong).view({2, 3});
  EXPECT_TRUE(count_of(values, 6).equal(at::tensor({2, 0, 3, 0, 1, 0}, at::kLong)));
  EXPECT_EQ(count_of(at::empty({0}, at::kLong), 3).sum().item<std::int64_t>(), 0);
  EXPECT_EQ(count_of(values.to(at::kMeta), 6).size(0), 6);  // which asks for no value
}

}  // namespace
}  // namespace moesaic
