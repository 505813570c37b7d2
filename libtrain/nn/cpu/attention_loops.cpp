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

template <class E, class A>
MOESAIC_INLINE A softmax(const A* score, A scale, std::int64_t valid, std::int64_t n,
                         RunningSoftmax<A>& running, E* p) {
  if (valid == 0) {
    std::fill_n(p, n, E{0});
    return 1;
  }
  A top = score[0];
#pragma omp simd reduction(max : top)
  for (std::int64_t i = 0; i < valid; ++i) top = score[i] > top ? score[i] : top;
  top = std::max(running.highest, top * scale);
  A part = 0;
#pragma omp simd reduction(+ : part)
  for (std::int64_t i = 0; i < valid; ++i) {
    const A e = exponential(score[i] * scale - top);
    p[i] = narrow<E>(e);
    part += e;
  }
  std::fill_n(p + valid, n - valid, E{0});
  const A shrink = running.sum > 0 ? exponential(running.highest - top) : A{0};
  running = {top, running.sum * shrink + part};
  return shrink;
}

template <class E, class A>
MOESAIC_INLINE void softmax_gradient(const A* score, const A* dp, A scale, const A* lse,
                                     const A* delta, std::int64_t first, std::int64_t n, E* p,
                                     E* ds) {
  std::fill_n(p, first, E{0});
  std::fill_n(ds, first, E{0});
#pragma omp simd
  for (std::int64_t i = first; i < n; ++i) {
    const A e = exponential(score[i] * scale - lse[i]);
    const A d = e * (dp[i] - delta[i]);
    p[i] = narrow<E>(e);
    ds[i] = narrow<E>(d);
  }
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

MOESAIC_SIMD float softmax_row(const float* score, float scale, std::int64_t valid, std::int64_t n,
                               RunningSoftmax<float>& running, float* p) {
  return softmax(score, scale, valid, n, running, p);
}
MOESAIC_SIMD float softmax_row(const float* score, float scale, std::int64_t valid, std::int64_t n,
                               RunningSoftmax<float>& running, c10::BFloat16* p) {
  return softmax(score, scale, valid, n, running, p);
}
double softmax_row(const double* score, double scale, std::int64_t valid, std::int64_t n,
                   RunningSoftmax<double>& running, double* p) {
  return softmax(score, scale, valid, n, running, p);
}

MOESAIC_SIMD void softmax_gradient_row(const float* score, const float* dp, float scale,
                                       const float* lse, const float* delta, std::int64_t first,
                                       std::int64_t n, float* p, float* ds) {
  softmax_gradient(score, dp, scale, lse, delta, first, n, p, ds);
}
MOESAIC_SIMD void softmax_gradient_row(const float* score, const float* dp, float scale,
                                       const float* lse, const float* delta, std::int64_t first,
                                       std::int64_t n, c10::BFloat16* p, c10::BFloat16* ds) {
  softmax_gradient(score, dp, scale, lse, delta, first, n, p, ds);
}
void softmax_gradient_row(const double* score, const double* dp, double scale, const double* lse,
                          const double* delta, std::int64_t first, std::int64_t n, double* p,
                          double* ds) {
  softmax_gradient(score, dp, scale, lse, delta, first, n, p, ds);
}

}  // namespace moesaic::cpu
