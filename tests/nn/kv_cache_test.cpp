#include "nn/kv_cache.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "nn/attention.h"
#include "nn/cpu/row_product.h"
#include "nn/matmul.h"
#include "support/threads_for.h"

namespace moesaic {
namespace {

TEST(KvCache, GivesAllRowsAndForgetsWhatIsCut) {
  KvCache cache(1, 8);
  const at::Tensor first = at::randn({3, 2, 4}), second = at::randn({2, 2, 4});
  cache.append(0, first, first);
  cache.advance(3);
  EXPECT_TRUE(cache.append(0, second, second).keys_LGd.equal(at::cat({first, second})));
  cache.advance(2);
  cache.cut(1);
  const auto rows = cache.append(0, second, first.narrow(0, 0, 2));
  EXPECT_TRUE(rows.keys_LGd.equal(at::cat({first.narrow(0, 0, 1), second})));
  EXPECT_EQ(rows.values_LGw.size(0), 3);
  EXPECT_THROW(cache.append(0, at::randn({9, 2, 4}), at::randn({9, 2, 4})), Error);
}

TEST(AttentionToEarlier, EqualsTheLastRowsOfCausalAttention) {
  const at::NoGradGuard no_gradients;
  const std::int64_t length = 37;
  const auto q = at::randn({length, 6, 8}, at::kDouble), k = at::randn({length, 2, 8}, at::kDouble),
             v = at::randn({length, 2, 5}, at::kDouble);
  const auto all = causal_attention(q, k, v, {0, length}, 0.3);
  for (const std::int64_t last : {1, 2, 36}) {
    const KvCache::Rows seen[] = {{k, v}};
    const auto y =
        attention_to_earlier(q.narrow(0, length - last, last), seen, {0, last}, 0.3, at::kDouble);
    EXPECT_TRUE(y.allclose(all.narrow(0, length - last, last), 1e-12, 1e-12)) << last;
  }
}

TEST(AttentionToEarlier, IsForEachSequenceAsIfItWereAlone) {
  const at::NoGradGuard no_gradients;
  std::vector<KvCache::Rows> seen;
  std::vector<std::int64_t> offsets = {0};
  for (const std::int64_t length : {9, 1, 30}) {
    seen.push_back({at::randn({length, 2, 8}), at::randn({length, 2, 5})});
    offsets.push_back(offsets.back() + (length == 9 ? 2 : 1));
  }
  const auto q = at::randn({offsets.back(), 6, 8});
  for (const int threads : {1, 2, 3}) {
    const ThreadsFor now(threads);
    const auto all = attention_to_earlier(q, seen, offsets, 0.3, at::kFloat);
    for (std::size_t b = 0; b < seen.size(); ++b) {
      const std::int64_t rows = offsets[b + 1] - offsets[b];
      const auto alone = attention_to_earlier(q.narrow(0, offsets[b], rows), {&seen[b], 1},
                                              {0, rows}, 0.3, at::kFloat);
      EXPECT_TRUE(all.narrow(0, offsets[b], rows).equal(alone)) << b << ", " << threads;
    }
  }
}

TEST(RowProduct, EqualsMmForEveryRestAndType) {
  for (const auto left : {at::kFloat, at::kBFloat16})
    for (const auto right : {at::kFloat, at::kBFloat16})
      for (const std::int64_t rows : {1, 3, 4, 11})
        for (const std::int64_t n : {1, 3, 5, 64, 1027}) {
          const auto a = at::randn({rows, 37}).to(left), b = at::randn({n, 37}).to(right);
          ASSERT_TRUE(cpu::has_row_product(a, b));
          const auto out = at::empty({rows, n}, a.options());
          cpu::row_product(a, b, out);
          const auto wanted = at::mm(a.to(at::kDouble), b.to(at::kDouble).t());
          const double tolerance = left == at::kBFloat16 ? 8e-3 : 1e-5;
          EXPECT_TRUE(out.to(at::kDouble).allclose(wanted, tolerance, tolerance * 8)) << n;
        }
}

// What generation relies on: a text does not depend on those that are made together with it.
TEST(RowProduct, GivesARowTheBitsThatItHasAlone) {
  for (const auto left : {at::kFloat, at::kBFloat16})
    for (const auto right : {at::kFloat, at::kBFloat16})
      for (const std::int64_t k : {1, 37, 64, 1000}) {
        const auto a = at::randn({11, k}).to(left), b = at::randn({259, k}).to(right);
        if (left == at::kBFloat16 && right == at::kFloat) continue;  // its copy is multiplied
        const auto all = product(a, b, MatmulKernel::kRows);
        for (std::int64_t row = 0; row < a.size(0); ++row)
          EXPECT_TRUE(
              all.narrow(0, row, 1).equal(product(a.narrow(0, row, 1), b, MatmulKernel::kRows)))
              << k << ", row " << row;
      }
}

TEST(RowProduct, TakesABfloat16WeightAsItsFloat32Copy) {
  const auto a = at::randn({1, 64}), b = at::randn({130, 64}).to(at::kBFloat16);
  ASSERT_TRUE(widens_right(a, b, MatmulKernel::kOneDnn));
  // The order of the sums is the compiler's choice for each type: with AVX-512 they are equal.
  EXPECT_TRUE(product(a, b, MatmulKernel::kOneDnn)
                  .allclose(product(a, b.to(at::kFloat), MatmulKernel::kOneDnn), 1e-5, 1e-5));
}

}  // namespace
}  // namespace moesaic
