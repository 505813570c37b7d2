#include "nn/cpu/attention_loops.h"

#include <algorithm>

namespace moesaic::cpu {
namespace {

template <class In, class Out, class A>
MOESAIC_INLINE void scale_rows(const In* in, Out* out, std::int64_t n, A factor) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = narrow<Out>(widen(in[i]) * factor);
}

template <class T>
MOESAIC_INLINE Wide<T> dot_of(const T* a, const T* b, std::int64_t n) {
  Wide<T> sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += widen(a[i]) * widen(b[i]);
  return sum;
}

constexpr std::int64_t kLanes = 16;  // rows are computed in whole vectors, then what is hidden is 0

template <class A>
MOESAIC_INLINE A softmax(A* score, A scale, std::int64_t valid, std::int64_t n,
                         RunningSoftmax<A>& running) {
  if (valid == 0) {
    std::fill_n(score, n, A{0});
    return 1;
  }
  const std::int64_t whole = (valid + kLanes - 1) & -kLanes;
  std::fill_n(score + valid, whole - valid, std::numeric_limits<A>::lowest());
  A top = score[0];
#pragma omp simd reduction(max : top)
  for (std::int64_t i = 0; i < whole; ++i) top = score[i] > top ? score[i] : top;
  top = std::max(running.highest, top * scale);
  A part = 0;
#pragma omp simd reduction(+ : part)
  for (std::int64_t i = 0; i < whole; ++i) {
    const A e = exponential_below_88(score[i] * scale - top);
    score[i] = e;
    part += e;
  }
  std::fill_n(score + valid, n - valid, A{0});
  const A shrink = running.sum > 0 ? exponential(running.highest - top) : A{0};
  running = {top, running.sum * shrink + part};
  return shrink;
}

template <class A>
MOESAIC_INLINE void softmax_gradient(A* score, A* dp, A scale, const A* lse, const A* delta,
                                     std::int64_t first, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = first & -kLanes; i < n; ++i) {
    const A e = exponential_below_88(score[i] * scale - lse[i]);
    score[i] = e;
    dp[i] = e * (dp[i] - delta[i]);
  }
  std::fill_n(score, first, A{0});
  std::fill_n(dp, first, A{0});
}

}  // namespace

MOESAIC_SIMD void scaled_copy(const float* in, float* out, std::int64_t n, float factor) {
  scale_rows(in, out, n, factor);
}
MOESAIC_SIMD void scaled_copy(const c10::BFloat16* in, float* out, std::int64_t n, float factor) {
  scale_rows(in, out, n, factor);
}
MOESAIC_SIMD void scaled_copy(const float* in, c10::BFloat16* out, std::int64_t n, float factor) {
  scale_rows(in, out, n, factor);
}
void scaled_copy(const double* in, double* out, std::int64_t n, double factor) {
  scale_rows(in, out, n, factor);
}

MOESAIC_SIMD float dot(const float* a, const float* b, std::int64_t n) { return dot_of(a, b, n); }
MOESAIC_SIMD float dot(const c10::BFloat16* a, const c10::BFloat16* b, std::int64_t n) {
  return dot_of(a, b, n);
}
double dot(const double* a, const double* b, std::int64_t n) { return dot_of(a, b, n); }

MOESAIC_SIMD float softmax_row(float* score, float scale, std::int64_t valid, std::int64_t n,
                               RunningSoftmax<float>& running) {
  return softmax(score, scale, valid, n, running);
}
double softmax_row(double* score, double scale, std::int64_t valid, std::int64_t n,
                   RunningSoftmax<double>& running) {
  return softmax(score, scale, valid, n, running);
}

MOESAIC_SIMD void softmax_gradient_row(float* score, float* dp, float scale, const float* lse,
                                       const float* delta, std::int64_t first, std::int64_t n) {
  softmax_gradient(score, dp, scale, lse, delta, first, n);
}
void softmax_gradient_row(double* score, double* dp, double scale, const double* lse,
                          const double* delta, std::int64_t first, std::int64_t n) {
  softmax_gradient(score, dp, scale, lse, delta, first, n);
}

}  // namespace moesaic::cpu
