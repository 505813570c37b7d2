#include "nn/cpu/swiglu.h"

#include "nn/cpu/dtypes.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kCost = 16;  // operations of a value

template <class T>
MOESAIC_INLINE void forward(const T* gate, const T* up, const Wide<T>* weight, Rows rows, T* y) {
  using A = Wide<T>;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const A w = weight == nullptr ? A{1} : weight[r];
    const T *g_row = gate + r * rows.width, *u_row = up + r * rows.width;
    T* out = y + r * rows.width;
#pragma omp simd
    for (std::int64_t i = 0; i < rows.width; ++i) {
      const A g = widen(g_row[i]), u = widen(u_row[i]);
      out[i] = narrow<T>(g / (A{1} + exponential(-g)) * u * w);
    }
  }
}

template <class T>
MOESAIC_INLINE void backward(const T* dy, const T* gate, const T* up, const Wide<T>* weight,
                             Rows rows, T* dgate, T* dup, Wide<T>* dweight) {
  using A = Wide<T>;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const A w = weight == nullptr ? A{1} : weight[r];
    const std::int64_t at = r * rows.width;
    const T *d_row = dy + at, *g_row = gate + at, *u_row = up + at;
    T *dg_row = dgate + at, *du_row = dup + at;
    A sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < rows.width; ++i) {
      const A g = widen(g_row[i]), u = widen(u_row[i]);
      const A d = widen(d_row[i]);
      const A sigmoid = A{1} / (A{1} + exponential(-g));
      const A silu = g * sigmoid;
      sum += d * silu * u;
      du_row[i] = narrow<T>(d * w * silu);
      dg_row[i] = narrow<T>(d * w * u * (sigmoid + silu * (A{1} - sigmoid)));
    }
    if (dweight != nullptr) dweight[r] = sum;
  }
}

#define MOESAIC_DEFINE(T)                                                                         \
  MOESAIC_SIMD void forward_rows(const T* gate, const T* up, const Wide<T>* weight, Rows rows,    \
                                 T* y) {                                                          \
    forward(gate, up, weight, rows, y);                                                           \
  }                                                                                               \
  MOESAIC_SIMD void backward_rows(const T* dy, const T* gate, const T* up, const Wide<T>* weight, \
                                  Rows rows, T* dgate, T* dup, Wide<T>* dweight) {                \
    backward(dy, gate, up, weight, rows, dgate, dup, dweight);                                    \
  }
MOESAIC_DEFINE(float)
MOESAIC_DEFINE(c10::BFloat16)
MOESAIC_DEFINE(double)
#undef MOESAIC_DEFINE

}  // namespace

void swiglu_forward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& weight,
                    const at::Tensor& y) {
  with_dtype(gate.scalar_type(), [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    const A* w = weight.defined() ? weight.const_data_ptr<A>() : nullptr;
    on_threads(gate.size(0), worth_a_thread(kCost * gate.size(1)),
               [&](std::int64_t first, std::int64_t last) {
                 forward_rows(gate.const_data_ptr<T>(), up.const_data_ptr<T>(), w,
                              {first, last, gate.size(1)}, y.mutable_data_ptr<T>());
               });
  });
}

void swiglu_backward(const at::Tensor& dy, const at::Tensor& gate, const at::Tensor& up,
                     const at::Tensor& weight, const at::Tensor& dgate, const at::Tensor& dup,
                     const at::Tensor& dweight) {
  with_dtype(gate.scalar_type(), [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    const A* w = weight.defined() ? weight.const_data_ptr<A>() : nullptr;
    A* dw = weight.defined() ? dweight.mutable_data_ptr<A>() : nullptr;
    on_threads(gate.size(0), worth_a_thread(kCost * gate.size(1)),
               [&](std::int64_t first, std::int64_t last) {
                 backward_rows(dy.const_data_ptr<T>(), gate.const_data_ptr<T>(),
                               up.const_data_ptr<T>(), w, {first, last, gate.size(1)},
                               dgate.mutable_data_ptr<T>(), dup.mutable_data_ptr<T>(), dw);
               });
  });
}

}  // namespace moesaic::cpu
