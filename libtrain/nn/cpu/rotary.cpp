#include "nn/cpu/rotary.h"

#include "nn/cpu/dtypes.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kCost = 4;  // operations of a value

// Where the pairs of a head lie: the i-th is (i * stride, second + i * stride).
struct Pairs {
  std::int64_t stride, second;

  static Pairs halves(std::int64_t half) { return {1, half}; }
  static Pairs of(bool interleaved, std::int64_t half) {
    return interleaved ? Pairs{2, 1} : halves(half);
  }
};

// `sign` -1 turns back.
struct Turn {
  Pairs from, to;
  int sign;
};

struct Heads {
  std::int64_t first, last;  // tokens
  std::int64_t heads, half;  // half: pairs of a head
};

template <class T>
MOESAIC_INLINE void turn(const T* x, const Wide<T>* cos, const Wide<T>* sin, Heads h, Turn t,
                         T* y) {
  using A = Wide<T>;
  const A sign = static_cast<A>(t.sign);
  for (std::int64_t row = h.first * h.heads; row < h.last * h.heads; ++row) {
    const A *c = cos + row / h.heads * h.half, *s = sin + row / h.heads * h.half;
    const T *in = x + row * 2 * h.half, *in_second = in + t.from.second;
    T *out = y + row * 2 * h.half, *out_second = out + t.to.second;
#pragma omp simd
    for (std::int64_t i = 0; i < h.half; ++i) {
      const A a = widen(in[i * t.from.stride]), b = widen(in_second[i * t.from.stride]);
      const A sine = sign * s[i];
      out[i * t.to.stride] = narrow<T>(a * c[i] - b * sine);
      out_second[i * t.to.stride] = narrow<T>(b * c[i] + a * sine);
    }
  }
}

#define MOESAIC_DEFINE(T)                                                                          \
  MOESAIC_SIMD void turn_rows(const T* x, const Wide<T>* cos, const Wide<T>* sin, Heads h, Turn t, \
                              T* y) {                                                              \
    turn(x, cos, sin, h, t, y);                                                                    \
  }
MOESAIC_DEFINE(float)
MOESAIC_DEFINE(c10::BFloat16)
MOESAIC_DEFINE(double)
#undef MOESAIC_DEFINE

void turn_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const Turn& t,
                const at::Tensor& y) {
  with_dtype(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    on_threads(x.size(0), worth_a_thread(kCost * x.size(1) * x.size(2)),
               [&](std::int64_t first, std::int64_t last) {
                 turn_rows(x.const_data_ptr<T>(), cos.const_data_ptr<Wide<T>>(),
                           sin.const_data_ptr<Wide<T>>(), {first, last, x.size(1), x.size(2) / 2},
                           t, y.mutable_data_ptr<T>());
               });
  });
}

}  // namespace

void rotate_forward(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                    bool interleaved, const at::Tensor& y) {
  const std::int64_t half = x.size(2) / 2;
  turn_heads(x, cos, sin, {Pairs::of(interleaved, half), Pairs::halves(half), 1}, y);
}

void rotate_backward(const at::Tensor& dy, const at::Tensor& cos, const at::Tensor& sin,
                     bool interleaved, const at::Tensor& dx) {
  const std::int64_t half = dy.size(2) / 2;
  turn_heads(dy, cos, sin, {Pairs::halves(half), Pairs::of(interleaved, half), -1}, dx);
}

}  // namespace moesaic::cpu
