// Products with weights in the blocks of a GGUF file, against those with their numbers in float64,
// for every type, any number of rows and of threads.
#include "nn/cpu/block_product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "nn/linear.h"
#include "nn/quantised_product.h"
#include "support/capture_sink.h"
#include "support/file_blocks.h"

namespace moesaic {
namespace {

using test::BlockType;

class EachType : public testing::TestWithParam<BlockType> {
 protected:
  std::vector<std::int64_t> widths() const {
    const std::int64_t block = GetParam().type.values;
    if (block == 1) return {1, 31, 64, 571};
    return {block, 3 * block, 18 * block};
  }
  std::int64_t width() const { return GetParam().type.values == 1 ? 70 : 256; }
};
INSTANTIATE_TEST_SUITE_P(Types, EachType, testing::ValuesIn(test::block_types()),
                         [](const auto& each) { return each.param.type.name; });

at::Tensor numbers_of(const QuantisedWeight& weight, std::int64_t i = 0) {
  return weight.matrix(i, at::kDouble);
}

// To the accuracy of sums in float32, and of a result in the dtype of `got`.
void expect_product(const at::Tensor& got, const at::Tensor& a, const at::Tensor& w_NK,
                    const std::string& what) {
  const at::Tensor wide = a.to(at::kDouble), right = at::mm(wide, w_NK.t());
  at::Tensor allowed = at::mm(wide.abs(), w_NK.abs().t()).mul(2e-6).add(1e-12);
  if (got.scalar_type() == at::kBFloat16) allowed = allowed.add(right.abs().mul(0x1p-8));
  EXPECT_TRUE(got.to(at::kDouble).sub(right).abs().le(allowed).all().item<bool>()) << what;
}

TEST_P(EachType, IsTheProductOfTheNumbers) {
  for (const std::int64_t k : widths())
    for (const std::int64_t n : {1, 3, 130}) {
      const QuantisedWeight weight = test::random_blocks(GetParam(), {n, k});
      const at::Tensor numbers = numbers_of(weight), rows = weight.rows_in_blocks(0);
      for (const std::int64_t m : {1, 2, 3, 4, 7, 16})
        for (const auto dtype : {at::kFloat, at::kBFloat16}) {
          const std::string what = format("k {} n {} m {}", k, n, m);
          const at::Tensor a = at::randn({m, k}).to(dtype), out = at::empty({m, n}, dtype);
          ASSERT_TRUE(cpu::has_block_product(a));
          cpu::block_product(a, GetParam().type, rows, out);
          expect_product(out, a, numbers, what);
          cpu::block_product_portably(a, GetParam().type, rows, out);
          expect_product(out, a, numbers, what + " portably");
        }
    }
}

TEST_P(EachType, HasTheSameBitsForAnyThreadsAndForARowAlone) {
  const std::int64_t k = width(), n = 1027;
  const QuantisedWeight weight = test::random_blocks(GetParam(), {n, k});
  const at::Tensor a = at::randn({7, k}), rows = weight.rows_in_blocks(0);
  const auto product_of = [&](const at::Tensor& some) {
    const at::Tensor out = at::empty({some.size(0), n});
    cpu::block_product(some, GetParam().type, rows, out);
    return out;
  };
  const at::Tensor wanted = product_of(a);
  const int before = at::get_num_threads();
  for (const int threads : {1, 2, 3, 4}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(product_of(a), wanted)) << threads;
  }
  at::set_num_threads(before);
  for (std::int64_t r = 0; r < 7; ++r)
    EXPECT_TRUE(at::equal(product_of(a.narrow(0, r, 1)), wanted.narrow(0, r, 1))) << r;
}

// More rows than are multiplied in registers, in pieces of the weight; float64; and what backward
// would ask for.
TEST_P(EachType, IsMultipliedByItsNumbersWhereRowsAreMany) {
  const std::int64_t k = width();
  const QuantisedWeight weight = test::random_blocks(GetParam(), {9000, k});
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor x = at::randn({cpu::kFewBlockRows + 1, k}, dtype);
    const at::Tensor y = at::empty({x.size(0), 9000}, dtype);
    product_into(x, weight, 0, false, MatmulKernel::kOneDnn, y);
    expect_product(y, x, numbers_of(weight), "rows");
    const at::Tensor back = at::empty(x.sizes(), dtype);
    product_into(y, weight, 0, true, MatmulKernel::kOneDnn, back);
    expect_product(back, y, numbers_of(weight).t(), "transposed");
  }
}

struct Maps : test::Fixture {
  const Parameter& in_blocks(const BlockType& of, const std::vector<std::int64_t>& shape) {
    parameters.push_back(test::parameter_in_blocks("w", of, shape));
    parameters.back().index = std::ssize(parameters) - 1;
    return parameters.back();
  }
};

TEST_P(EachType, IsALinearMapAnExpertsMapAndAnEmbedding) {
  Maps f;
  const std::int64_t k = width();
  const Parameter& weight = f.in_blocks(GetParam(), {9, k});
  const Parameter& experts = f.in_blocks(GetParam(), {3, 9, k});
  const at::Tensor x = at::randn({11, k}), numbers = numbers_of(weight.quantised);
  expect_product(Linear(weight).forward(f.context, x), x, numbers, "linear");
  EXPECT_TRUE(at::equal(Linear(weight).matrix(f.context, at::kDouble), numbers));

  const RowGroups groups = groups_of(GroupOffsets({0, 5, 5, 11}), f.batch.place_T);
  const at::Tensor y = GroupedLinear(experts).forward(f.context, x, groups);
  expect_product(y.narrow(0, 0, 5), x.narrow(0, 0, 5), numbers_of(experts.quantised, 0), "first");
  expect_product(y.narrow(0, 5, 6), x.narrow(0, 5, 6), numbers_of(experts.quantised, 2), "last");

  const at::Tensor ids = at::tensor({3, 0, 8, 3}, at::kLong);
  EXPECT_TRUE(at::equal(embedding(f.context, weight, ids), numbers.index_select(0, ids)));
  EXPECT_TRUE(at::equal(weight.rows(2, 5, at::kDouble), numbers.narrow(0, 2, 5)));
}

}  // namespace
}  // namespace moesaic
