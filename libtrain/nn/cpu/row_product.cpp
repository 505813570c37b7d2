#include "nn/cpu/row_product.h"

#include <algorithm>
#include <iterator>

#include "nn/cpu/dtypes.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kTogether = 4;             // rows of a and of b, where there are as many
constexpr std::int64_t kValuesPerTask = 1 << 15;  // products of a thread's smallest share

// One row of b at a time: memory is read as one stream, from its beginning to its end.
template <class B>
MOESAIC_INLINE float product_of_rows(const float* a, const B* b, std::int64_t k) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < k; ++i) sum += a[i] * widen(b[i]);
  return sum;
}

// Four rows of each, as many sums as registers: sums[4 i + j] = row i of a . row j of b, in the
// order that it has alone.
template <class B>
MOESAIC_INLINE void products_of_four(const float* a, const B* b, std::int64_t ldb, std::int64_t k,
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

#define MOESAIC_DEFINE(B)                                                                         \
  MOESAIC_SIMD float row_times_row(const float* a, const B* b, std::int64_t k) {                  \
    return product_of_rows(a, b, k);                                                              \
  }                                                                                               \
  MOESAIC_SIMD void four_times_four(const float* a, const B* b, std::int64_t ldb, std::int64_t k, \
                                    float* sums) {                                                \
    products_of_four(a, b, ldb, k, sums);                                                         \
  }
MOESAIC_DEFINE(float)
MOESAIC_DEFINE(c10::BFloat16)
#undef MOESAIC_DEFINE

// Rows [first, last) of b against all of a, which is float32 and dense.
template <class B, class T>
void multiply(const float* a, std::int64_t m, std::int64_t k, const B* b, std::int64_t ldb,
              std::int64_t first, std::int64_t last, T* out, std::int64_t ldo) {
  float sums[kTogether * kTogether];
  const std::int64_t fours = m / kTogether * kTogether;  // rows of a that go by four
  std::int64_t n = first;
  for (; fours > 0 && n + kTogether <= last; n += kTogether) {
    for (std::int64_t row = 0; row < fours; row += kTogether) {
      four_times_four(a + row * k, b + n * ldb, ldb, k, sums);
      for (std::int64_t i = 0; i < kTogether * kTogether; ++i)
        out[(row + i / kTogether) * ldo + n + i % kTogether] = narrow<T>(sums[i]);
    }
    for (std::int64_t j = n; j < n + kTogether; ++j)
      for (std::int64_t row = fours; row < m; ++row)
        out[row * ldo + j] = narrow<T>(row_times_row(a + row * k, b + j * ldb, k));
  }
  for (; n < last; ++n)
    for (std::int64_t row = 0; row < m; ++row)
      out[row * ldo + n] = narrow<T>(row_times_row(a + row * k, b + n * ldb, k));
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
