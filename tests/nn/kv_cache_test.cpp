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
    const auto y = attention_to_earlier(q.narrow(0, length - last, last), k, v, 0.3, at::kDouble);
    EXPECT_TRUE(y.allclose(all.narrow(0, length - last, last), 1e-12, 1e-12)) << last;
  }
}

TEST(RowProduct, EqualsMmForEveryRestAndType) {
  for (const auto left : {at::kFloat, at::kBFloat16})
    for (const auto right : {at::kFloat, at::kBFloat16})
      for (const std::int64_t rows : {1, 3, 4})
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

TEST(RowProduct, TakesABfloat16WeightAsItsFloat32Copy) {
  const auto a = at::randn({1, 64}), b = at::randn({130, 64}).to(at::kBFloat16);
  ASSERT_TRUE(widens_right(a, b));
  // The order of the sums is the compiler's choice for each type: with AVX-512 they are equal.
  EXPECT_TRUE(product(a, b, MatmulKernel::kOneDnn)
                  .allclose(product(a, b.to(at::kFloat), MatmulKernel::kOneDnn), 1e-5, 1e-5));
}

}  // namespace
}  // namespace moesaic
