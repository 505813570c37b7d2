#include "nn/cpu/row_product.h"

#include <algorithm>
#include <iterator>

#include "nn/cpu/dtypes.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kTogether = 4;  // rows of b, and of a where there are as many
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

// The same of four rows of a, each of whose sums has the order that it has alone.
template <class B>
MOESAIC_INLINE void dots_of_four(const float* a, const B* b, std::int64_t ldb, std::int64_t k,
                                 float* sums) {
  const float *a0 = a, *a1 = a + k, *a2 = a + 2 * k, *a3 = a + 3 * k;
  const B *b0 = b, *b1 = b + ldb, *b2 = b + 2 * ldb, *b3 = b + 3 * ldb;
  float s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  float s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
#pragma omp simd reduction(+ : s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, \
                               s31, s32, s33)
  for (std::int64_t i = 0; i < k; ++i) {
    const float p = widen(b0[i]), q = widen(b1[i]), r = widen(b2[i]), t = widen(b3[i]);
    s00 += a0[i] * p, s01 += a0[i] * q, s02 += a0[i] * r, s03 += a0[i] * t;
    s10 += a1[i] * p, s11 += a1[i] * q, s12 += a1[i] * r, s13 += a1[i] * t;
    s20 += a2[i] * p, s21 += a2[i] * q, s22 += a2[i] * r, s23 += a2[i] * t;
    s30 += a3[i] * p, s31 += a3[i] * q, s32 += a3[i] * r, s33 += a3[i] * t;
  }
  const float all[] = {s00, s01, s02, s03, s10, s11, s12, s13,
                       s20, s21, s22, s23, s30, s31, s32, s33};
  std::copy_n(all, std::size(all), sums);
}

#define MOESAIC_DEFINE(B)                                                                   \
  MOESAIC_SIMD void dots_of(const float* a, const B* b, std::int64_t ldb, std::int64_t k,   \
                            float* sums) {                                                  \
    dots(a, b, ldb, k, sums);                                                               \
  }                                                                                         \
  MOESAIC_SIMD void four_dots_of(const float* a, const B* b, std::int64_t ldb,              \
                                 std::int64_t k, float* sums) {                             \
    dots_of_four(a, b, ldb, k, sums);                                                       \
  }
MOESAIC_DEFINE(float)
MOESAIC_DEFINE(c10::BFloat16)
#undef MOESAIC_DEFINE

// Rows [first, last) of b against all of a, which is float32 and dense.
template <class B, class T>
void multiply(const float* a, std::int64_t m, std::int64_t k, const B* b, std::int64_t ldb,
              std::int64_t first, std::int64_t last, T* out, std::int64_t ldo) {
  float sums[kTogether * kTogether];
  for (std::int64_t n = first; n < last; n += kTogether) {
    const std::int64_t count = std::min(kTogether, last - n);
    std::int64_t row = 0;
    for (; count == kTogether && row + kTogether <= m; row += kTogether) {
      four_dots_of(a + row * k, b + n * ldb, ldb, k, sums);
      for (std::int64_t i = 0; i < kTogether * kTogether; ++i)
        out[(row + i / kTogether) * ldo + n + i % kTogether] = narrow<T>(sums[i]);
    }
    for (; row < m; ++row) {
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
  return a_MK.is_cpu() && is_narrow(a_MK) && is_narrow(b_NK) && b_NK.stride(1) == 1;
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
