#include "nn/cpu/rows.h"

#include "nn/cpu/dtypes.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kBlock = 256;   // values added up at a time
constexpr std::int64_t kColumns = 64;  // of a thread's smallest share

template <class T>
MOESAIC_INLINE void add_up(const T* y, const std::int64_t* place, std::int64_t copies,
                           std::int64_t width, T* out) {
  using A = Wide<T>;
  A sum[kBlock];
  for (std::int64_t begin = 0; begin < width; begin += kBlock) {
    const std::int64_t n = width - begin < kBlock ? width - begin : kBlock;
    std::int64_t k = 0;
    while (k < copies && place[k] < 0) ++k;
    if (k == copies) {
      for (std::int64_t i = 0; i < n; ++i) out[begin + i] = T(0);
      continue;
    }
    for (std::int64_t i = 0; i < n; ++i) sum[i] = widen(y[place[k] * width + begin + i]);
    while (++k < copies) {
      if (place[k] < 0) continue;
      for (std::int64_t i = 0; i < n; ++i) sum[i] += widen(y[place[k] * width + begin + i]);
    }
    for (std::int64_t i = 0; i < n; ++i) out[begin + i] = narrow<T>(sum[i]);
  }
}

#define MOESAIC_DEFINE(T)                                                          \
  MOESAIC_SIMD void sum_row(const T* y, const std::int64_t* place, std::int64_t k, \
                            std::int64_t width, T* out) {                          \
    add_up(y, place, k, width, out);                                               \
  }
MOESAIC_DEFINE(float)
MOESAIC_DEFINE(c10::BFloat16)
MOESAIC_DEFINE(double)
#undef MOESAIC_DEFINE

MOESAIC_SIMD void add_row(const float* y, std::int64_t n, float* sum) {
  for (std::int64_t i = 0; i < n; ++i) sum[i] += y[i];
}
MOESAIC_SIMD void add_row(const double* y, std::int64_t n, double* sum) {
  for (std::int64_t i = 0; i < n; ++i) sum[i] += y[i];
}

template <class T>
void add_to_rows_of(const at::Tensor& y_TD, const at::Tensor& index_T, const at::Tensor& sum_VD) {
  const std::int64_t tokens = y_TD.size(0), width = y_TD.size(1);
  const T* const y = y_TD.const_data_ptr<T>();
  const auto* const index = index_T.const_data_ptr<std::int64_t>();
  T* const sum = sum_VD.mutable_data_ptr<T>();
  // By columns: each row is added up in the order of the tokens.
  on_threads(width, kColumns * worth_a_thread(2 * kColumns * tokens),
             [&](std::int64_t first, std::int64_t last) {
               for (std::int64_t t = 0; t < tokens; ++t)
                 add_row(y + t * width + first, last - first, sum + index[t] * width + first);
             });
}

}  // namespace

void sum_of_rows(const at::Tensor& y, const at::Tensor& place, const at::Tensor& out) {
  if (out.size(0) == 0) return;
  const std::int64_t copies = place.numel() / out.size(0), width = y.size(1);
  const auto* places = place.const_data_ptr<std::int64_t>();
  with_dtype(y.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T* from = y.const_data_ptr<T>();
    T* to = out.mutable_data_ptr<T>();
    on_threads(out.size(0), worth_a_thread(2 * copies * width),
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t t = first; t < last; ++t)
                   sum_row(from, places + t * copies, copies, width, to + t * width);
               });
  });
}

void add_to_rows(const at::Tensor& y_TD, const at::Tensor& index_T, const at::Tensor& sum_VD) {
  MOESAIC_ASSERT(y_TD.is_contiguous() && sum_VD.is_contiguous() && index_T.is_contiguous() &&
                 y_TD.size(1) == sum_VD.size(1) && y_TD.scalar_type() == sum_VD.scalar_type());
  if (y_TD.scalar_type() == at::kDouble) return add_to_rows_of<double>(y_TD, index_T, sum_VD);
  MOESAIC_ASSERT(y_TD.scalar_type() == at::kFloat);
  add_to_rows_of<float>(y_TD, index_T, sum_VD);
}

}  // namespace moesaic::cpu
