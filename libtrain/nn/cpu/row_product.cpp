#include "nn/cpu/row_product.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "nn/cpu/dtypes.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kValuesPerTask = 1 << 15;  // of b, where LibTorch's loops are parallel

// One row of b at a time: memory is read as one stream, from its beginning to its end.
template <class B>
MOESAIC_INLINE float product_of_rows(const float* a, const B* b, std::int64_t k) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < k; ++i) sum += a[i] * widen(b[i]);
  return sum;
}

MOESAIC_SIMD float row_times_row(const float* a, const float* b, std::int64_t k) {
  return product_of_rows(a, b, k);
}
MOESAIC_SIMD float row_times_row(const float* a, const c10::BFloat16* b, std::int64_t k) {
  return product_of_rows(a, b, k);
}

// Rows [first, last) of b against all of a, which is float32 and dense.
template <class B, class T>
void multiply(const float* a, std::int64_t m, std::int64_t k, const B* b, std::int64_t ldb,
              std::int64_t first, std::int64_t last, T* out, std::int64_t ldo) {
  for (std::int64_t n = first; n < last; ++n)
    for (std::int64_t row = 0; row < m; ++row)
      out[row * ldo + n] = narrow<T>(row_times_row(a + row * k, b + n * ldb, k));
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
  const std::int64_t grain = std::max<std::int64_t>(1, kValuesPerTask / (m * k));
  MOESAIC_ASSERT(out_MN.stride(1) == 1);
  with_narrow_dtype(out_MN.scalar_type(), [&](auto t) {
    with_narrow_dtype(b_NK.scalar_type(), [&](auto u) {
      using T = decltype(t);
      using B = decltype(u);
      const auto* const values = a.const_data_ptr<float>();
      const B* const right = b_NK.const_data_ptr<B>();
      T* const out = out_MN.mutable_data_ptr<T>();
      at::parallel_for(0, b_NK.size(0), grain, [&](std::int64_t first, std::int64_t last) {
        multiply(values, m, k, right, ldb, first, last, out, out_MN.stride(0));
      });
    });
  });
}

}  // namespace moesaic::cpu
