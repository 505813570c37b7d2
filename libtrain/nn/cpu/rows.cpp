#include "nn/cpu/rows.h"

#include <ATen/Parallel.h>

#include "nn/cpu/dtypes.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kGrain = 64;   // tokens of a thread's smallest share
constexpr std::int64_t kBlock = 256;  // values added up at a time

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

}  // namespace

void sum_of_rows(const at::Tensor& y, const at::Tensor& place, const at::Tensor& out) {
  if (out.size(0) == 0) return;
  const std::int64_t copies = place.numel() / out.size(0), width = y.size(1);
  const auto* places = place.const_data_ptr<std::int64_t>();
  with_dtype(y.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T* from = y.const_data_ptr<T>();
    T* to = out.mutable_data_ptr<T>();
    at::parallel_for(0, out.size(0), kGrain, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t t = first; t < last; ++t)
        sum_row(from, places + t * copies, copies, width, to + t * width);
    });
  });
}

}  // namespace moesaic::cpu
