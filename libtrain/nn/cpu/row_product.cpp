#include "nn/cpu/row_product.h"

#include <algorithm>

#include "nn/cpu/dtypes.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kTogether = 4;             // rows of b: as many sums under way
constexpr std::int64_t kValuesPerTask = 1 << 15;  // products of a thread's smallest share

// sums[j] = a . row j of b.
template <class B>
MOESAIC_INLINE void dots(const float* a, const B* b, std::int64_t ldb, std::int64_t k,
                         float* sums) {
  const B *b0 = b, *b1 = b + ldb, *b2 = b + 2 * ldb, *b3 = b + 3 * ldb;
  float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
  for (std::int64_t i = 0; i < k; ++i) {
    s0 += a[i] * widen(b0[i]);
    s1 += a[i] * widen(b1[i]);
    s2 += a[i] * widen(b2[i]);
    s3 += a[i] * widen(b3[i]);
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

MOESAIC_SIMD void dots_of(const float* a, const float* b, std::int64_t ldb, std::int64_t k,
                          float* sums) {
  dots(a, b, ldb, k, sums);
}
MOESAIC_SIMD void dots_of(const float* a, const c10::BFloat16* b, std::int64_t ldb, std::int64_t k,
                          float* sums) {
  dots(a, b, ldb, k, sums);
}

// Rows [first, last) of b against all of a, which is float32 and dense.
template <class B, class T>
void multiply(const float* a, std::int64_t m, std::int64_t k, const B* b, std::int64_t ldb,
              std::int64_t first, std::int64_t last, T* out, std::int64_t ldo) {
  float sums[kTogether];
  for (std::int64_t n = first; n < last; n += kTogether) {
    const std::int64_t count = std::min(kTogether, last - n);
    for (std::int64_t row = 0; row < m; ++row) {
      if (count == kTogether) {
        dots_of(a + row * k, b + n * ldb, ldb, k, sums);
      } else {
        for (std::int64_t j = 0; j < count; ++j) {
          float same[kTogether];  // four times one row: a sum has the same order everywhere
          dots_of(a + row * k, b + (n + j) * ldb, 0, k, same);
          sums[j] = same[0];
        }
      }
      for (std::int64_t j = 0; j < count; ++j) out[row * ldo + n + j] = narrow<T>(sums[j]);
    }
  }
}

bool is_narrow(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
}

}  // namespace

bool has_row_product(const at::Tensor& a_MK, const at::Tensor& b_NK) {
  return a_MK.is_cpu() && a_MK.size(0) <= kFewRows && is_narrow(a_MK) && is_narrow(b_NK) &&
         b_NK.stride(1) == 1;
}

void row_product(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& out_MN) {
  const at::Tensor a = a_MK.to(at::kFloat).contiguous();
  const std::int64_t m = a.size(0), k = a.size(1), ldb = b_NK.stride(0);
  const std::int64_t grain =
      kTogether * std::max<std::int64_t>(1, kValuesPerTask / (kTogether * m * k));
  MOESAIC_ASSERT(out_MN.stride(1) == 1);
  with_narrow_dtype(out_MN.scalar_type(), [&](auto t) {
    with_narrow_dtype(b_NK.scalar_type(), [&](auto u) {
      using T = decltype(t);
      using B = decltype(u);
      const auto* const values = a.const_data_ptr<float>();
      const B* const right = b_NK.const_data_ptr<B>();
      T* const out = out_MN.mutable_data_ptr<T>();
      on_threads(b_NK.size(0), grain, [&](std::int64_t first, std::int64_t last) {
        multiply(values, m, k, right, ldb, first, last, out, out_MN.stride(0));
      });
    });
  });
}

}  // namespace moesaic::cpu
