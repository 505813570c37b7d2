// Weights kept as codes: matrix by matrix, on the host and by LibTorch's kernels, wherever they
// lie.
#include "parallel/quantised_weight.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "parallel/state_dict.h"
#include "support/file_blocks.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

using arch::Storage;

class EachStorage : public testing::TestWithParam<Storage> {};
INSTANTIATE_TEST_SUITE_P(Storages, EachStorage, testing::Values(Storage::kInt8, Storage::kNf4),
                         [](const auto& each) { return arch::name_of(each.param); });

TEST_P(EachStorage, ComesBackNearTheValuesInAnyType) {
  const double widest = GetParam() == Storage::kInt8 ? 0.5 / 127 : 0.16;
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{96, 130}, {5, 7}, {1, 3}, {700, 67}}) {
    const auto values = at::randn(shape);
    const QuantisedWeight weight = test::quantised(GetParam(), values);
    const auto back = weight.matrix(0, at::kFloat);
    EXPECT_EQ(back.sizes(), values.sizes());
    EXPECT_LE(back.sub(values).abs().max().item<double>(),
              1.02 * widest * values.abs().max().item<double>());
    for (const auto dtype : {at::kDouble, at::kBFloat16})
      EXPECT_TRUE(at::equal(weight.matrix(0, dtype), back.to(dtype)));
  }
}

TEST_P(EachStorage, KernelsMakeTheSameNumbers) {
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{3, 43}, {130, 130}}) {
    const QuantisedWeight weight = test::quantised(GetParam(), at::randn(shape));
    for (const auto dtype : {at::kFloat, at::kBFloat16})
      EXPECT_TRUE(at::equal(weight.matrix_by_kernels(0, dtype), weight.matrix(0, dtype)));
  }
}

TEST_P(EachStorage, KeepsEachExpertAlone) {
  const auto values = at::randn({4, 24, 40}).mul(at::randn({4, 1, 1}).exp());
  const QuantisedWeight all = test::quantised(GetParam(), values);
  EXPECT_EQ(all.matrices(), 4);
  const QuantisedWeight half =
      test::quantised(GetParam(), values.narrow(0, 2, 2));  // of another layout
  for (std::int64_t e = 0; e < 4; ++e) {
    const auto alone = test::quantised(GetParam(), values[e]).matrix(0, at::kFloat);
    EXPECT_TRUE(at::equal(all.matrix(e, at::kFloat), alone));
    if (e < 2) continue;
    EXPECT_TRUE(at::equal(half.matrix(e - 2, at::kFloat), alone));
  }
}

TEST_P(EachStorage, TakesTheBytesThatThePlanCounts) {
  const QuantisedWeight weight = test::quantised(GetParam(), at::randn({3, 50, 70}));
  std::int64_t bytes = 0;
  for (const at::Tensor& part : weight.parts()) {
    EXPECT_EQ(part.size(0), 3);  // a row for each expert
    bytes += static_cast<std::int64_t>(part.nbytes());
  }
  arch::ParameterInfo info{.name = "w", .shape = {3, 50, 70}, .storage = GetParam()};
  EXPECT_EQ(bytes, info.bytes(4));
}

arch::ParameterTable table_of(Storage storage) {
  return {{.name = "dense", .shape = {48, 64}, .trainable = false, .storage = storage},
          {.name = "experts",
           .shape = {6, 16, 40},
           .scope = Scope::kExpert,
           .trainable = false,
           .storage = storage},
          {.name = "norm", .shape = {16}}};
}

ParameterSet set_of(Storage storage, int rank, int ranks) {
  return ParameterSet(table_of(storage),
                      {.seed = 3, .rank = rank, .plan = Plan::make(ranks, ranks, 6)});
}

TEST_P(EachStorage, IsMadeByTheTableOnAnyLayout) {
  const ParameterSet masters = set_of(Storage::kMaster, 0, 1);
  const ParameterSet whole = set_of(GetParam(), 0, 1), part = set_of(GetParam(), 1, 2);
  EXPECT_TRUE(whole[0].tensor.is_meta() && whole[1].tensor.is_meta());
  EXPECT_EQ(whole[1].local_numel(), 6 * 16 * 40);
  EXPECT_FALSE(whole[2].quantised.defined());
  for (std::size_t i = 0; i < 2; ++i) {
    const QuantisedWeight right = test::quantised(GetParam(), masters[i].tensor);
    for (std::int64_t e = 0; e < right.matrices(); ++e)
      EXPECT_TRUE(at::equal(whole[i].quantised.matrix(e, at::kFloat), right.matrix(e, at::kFloat)));
  }
  for (std::int64_t e = 0; e < 3; ++e)
    EXPECT_TRUE(at::equal(part[1].quantised.matrix(e, at::kFloat),
                          whole[1].quantised.matrix(3 + e, at::kFloat)));
}

TEST_P(EachStorage, MovesWithItsExperts) {
  const ParameterSet set = set_of(GetParam(), 0, 1);
  const auto second = set[1].quantised.matrix(1, at::kFloat);
  for (const StateEntry& entry : moving_state_of(set)) {
    EXPECT_FALSE(entry.tensor.is_meta()) << entry.name;
    if (entry.scope != Scope::kExpert) continue;
    EXPECT_TRUE(entry.name.starts_with("experts/")) << entry.name;
    EXPECT_EQ(entry.global_shape[0], 6);
    entry.tensor[4].copy_(entry.tensor[1]);
  }
  EXPECT_TRUE(at::equal(set[1].quantised.matrix(4, at::kFloat), second));
}

// Row by row, matrix by matrix and any rows of it: the same numbers.
TEST(FileBlocks, AreTheNumbersOfTheirRows) {
  for (const test::BlockType& type : test::block_types()) {
    const QuantisedWeight weight = test::random_blocks(type, {3, 5, 512});
    const std::int64_t bytes = std::int64_t{type.type.bytes} * (512 / type.type.values);
    EXPECT_EQ(weight.parts()[0].sizes().vec(), (std::vector<std::int64_t>{3, 5, bytes}));
    const auto second = weight.matrix(1, at::kFloat), rows = weight.rows_in_blocks(1);
    EXPECT_TRUE(second.isfinite().all().item<bool>());
    EXPECT_GT(second.abs().max().item<float>(), 0);
    EXPECT_TRUE(at::equal(weight.numbers(rows.narrow(0, 2, 2), at::kDouble),
                          second.narrow(0, 2, 2).to(at::kDouble)));
    EXPECT_FALSE(at::equal(second, weight.matrix(0, at::kFloat)));
  }
}

TEST(FileBlocks, AreKeptInTheTypeOfTheFile) {
  const test::BlockType& type = test::block_types()[3];
  const arch::ParameterTable table = {
      {.name = "dense", .shape = {4, 64}},
      {.name = "experts", .shape = {6, 4, 64}, .scope = Scope::kExpert},
      {.name = "norm", .shape = {64}}};
  const ParameterSet set(table, {.blocks = {{"dense", &type.type}, {"experts", &type.type}},
                                 .initialise = false,
                                 .rank = 1,
                                 .plan = Plan::make(2, 2, 6)});
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(set[i].storage, Storage::kFileBlocks);
    EXPECT_EQ(set[i].quantised.blocks(), &type.type);
    EXPECT_TRUE(set[i].tensor.is_meta());
  }
  EXPECT_EQ(set[1].quantised.matrices(), 3);
  EXPECT_EQ(set[1].offset, 3);
  EXPECT_FALSE(set[2].quantised.defined());
  EXPECT_EQ(set.master_options().dtype(), at::kFloat);
}

TEST(Bfloat16Weight, IsKeptInItsType) {
  const ParameterSet set = set_of(Storage::kBfloat16, 0, 1);
  const ParameterSet masters = set_of(Storage::kMaster, 0, 1);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(at::equal(set[i].tensor, masters[i].tensor.to(at::kBFloat16)));
  EXPECT_EQ(set[2].tensor.scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace moesaic
