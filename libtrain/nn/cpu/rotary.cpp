#include "nn/cpu/rotary.h"

#include <ATen/Parallel.h>

#include "nn/cpu/dtypes.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kGrain = 16;  // tokens of a thread's smallest share

struct Heads {
  std::int64_t first, last;  // tokens
  std::int64_t heads, half;  // half: pairs of a head
  bool interleaved;
};

template <class T>
MOESAIC_INLINE void turn(const T* x, const Wide<T>* cos, const Wide<T>* sin, Heads h, T* y) {
  using A = Wide<T>;
  for (std::int64_t row = h.first * h.heads; row < h.last * h.heads; ++row) {
    const A *c = cos + row / h.heads * h.half, *s = sin + row / h.heads * h.half;
    const T* in = x + row * 2 * h.half;
    T* out = y + row * 2 * h.half;
    const std::int64_t stride = h.interleaved ? 2 : 1;
    const T* second = h.interleaved ? in + 1 : in + h.half;
#pragma omp simd
    for (std::int64_t i = 0; i < h.half; ++i) {
      const A a = widen(in[i * stride]), b = widen(second[i * stride]);
      out[i] = narrow<T>(a * c[i] - b * s[i]);
      out[i + h.half] = narrow<T>(b * c[i] + a * s[i]);
    }
  }
}

template <class T>
MOESAIC_INLINE void turn_back(const T* dy, const Wide<T>* cos, const Wide<T>* sin, Heads h, T* dx) {
  using A = Wide<T>;
  for (std::int64_t row = h.first * h.heads; row < h.last * h.heads; ++row) {
    const A *c = cos + row / h.heads * h.half, *s = sin + row / h.heads * h.half;
    const T* in = dy + row * 2 * h.half;
    T* out = dx + row * 2 * h.half;
    const std::int64_t stride = h.interleaved ? 2 : 1;
    T* second = h.interleaved ? out + 1 : out + h.half;
#pragma omp simd
    for (std::int64_t i = 0; i < h.half; ++i) {
      const A a = widen(in[i]), b = widen(in[i + h.half]);
      out[i * stride] = narrow<T>(a * c[i] + b * s[i]);
      second[i * stride] = narrow<T>(b * c[i] - a * s[i]);
    }
  }
}

#define MOESAIC_DEFINE(T)                                                                          \
  MOESAIC_SIMD void turn_rows(const T* x, const Wide<T>* cos, const Wide<T>* sin, Heads h, T* y) { \
    turn(x, cos, sin, h, y);                                                                       \
  }                                                                                                \
  MOESAIC_SIMD void turn_rows_back(const T* dy, const Wide<T>* cos, const Wide<T>* sin, Heads h,   \
                                   T* dx) {                                                        \
    turn_back(dy, cos, sin, h, dx);                                                                \
  }
MOESAIC_DEFINE(float)
MOESAIC_DEFINE(c10::BFloat16)
MOESAIC_DEFINE(double)
#undef MOESAIC_DEFINE

}  // namespace

void rotate_forward(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                    bool interleaved, const at::Tensor& y) {
  with_dtype(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    at::parallel_for(0, x.size(0), kGrain, [&](std::int64_t first, std::int64_t last) {
      turn_rows(x.const_data_ptr<T>(), cos.const_data_ptr<Wide<T>>(), sin.const_data_ptr<Wide<T>>(),
                {first, last, x.size(1), x.size(2) / 2, interleaved}, y.mutable_data_ptr<T>());
    });
  });
}

void rotate_backward(const at::Tensor& dy, const at::Tensor& cos, const at::Tensor& sin,
                     bool interleaved, const at::Tensor& dx) {
  with_dtype(dy.scalar_type(), [&](auto type) {
    using T = decltype(type);
    at::parallel_for(0, dy.size(0), kGrain, [&](std::int64_t first, std::int64_t last) {
      turn_rows_back(
          dy.const_data_ptr<T>(), cos.const_data_ptr<Wide<T>>(), sin.const_data_ptr<Wide<T>>(),
          {first, last, dy.size(1), dy.size(2) / 2, interleaved}, dx.mutable_data_ptr<T>());
    });
  });
}

}  // namespace moesaic::cpu
