#include "nn/cpu/attention_loops.h"

#include <algorithm>

namespace moesaic::cpu {
namespace {

template <class In, class Out, class A>
MOESAIC_INLINE void scale_rows(const In* in, Out* out, std::int64_t n, A factor) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = narrow<Out>(widen(in[i]) * factor);
}

template <class A, class T>
MOESAIC_INLINE A dot_of(const A* a, const T* b, std::int64_t n) {
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * widen(b[i]);
  return sum;
}

template <class A>
MOESAIC_INLINE A softmax(A* score, std::int64_t valid, std::int64_t n, A& highest, A& sum) {
  if (valid == 0) {
    std::fill_n(score, n, A{0});
    return 1;
  }
  A top = highest;
#pragma omp simd reduction(max : top)
  for (std::int64_t i = 0; i < valid; ++i) top = score[i] > top ? score[i] : top;
  A part = 0;
#pragma omp simd reduction(+ : part)
  for (std::int64_t i = 0; i < valid; ++i) {
    const A e = exponential(score[i] - top);
    score[i] = e;
    part += e;
  }
  std::fill_n(score + valid, n - valid, A{0});
  const A shrink = sum > 0 ? exponential(highest - top) : A{0};
  highest = top;
  sum = sum * shrink + part;
  return shrink;
}

template <class A>
MOESAIC_INLINE void softmax_gradient(A* p, A* ds, const A* lse, const A* delta, std::int64_t first,
                                     std::int64_t n) {
  std::fill_n(p, first, A{0});
  std::fill_n(ds, first, A{0});
#pragma omp simd
  for (std::int64_t i = first; i < n; ++i) {
    const A e = exponential(p[i] - lse[i]);
    p[i] = e;
    ds[i] = e * (ds[i] - delta[i]);
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
MOESAIC_SIMD float dot(const float* a, const c10::BFloat16* b, std::int64_t n) {
  return dot_of(a, b, n);
}
double dot(const double* a, const double* b, std::int64_t n) { return dot_of(a, b, n); }

MOESAIC_SIMD float softmax_row(float* score, std::int64_t valid, std::int64_t n, float& highest,
                               float& sum) {
  return softmax(score, valid, n, highest, sum);
}
double softmax_row(double* score, std::int64_t valid, std::int64_t n, double& highest,
                   double& sum) {
  return softmax(score, valid, n, highest, sum);
}

MOESAIC_SIMD void softmax_gradient_row(float* p, float* ds, const float* lse, const float* delta,
                                       std::int64_t first, std::int64_t n) {
  softmax_gradient(p, ds, lse, delta, first, n);
}
void softmax_gradient_row(double* p, double* ds, const double* lse, const double* delta,
                          std::int64_t first, std::int64_t n) {
  softmax_gradient(p, ds, lse, delta, first, n);
}

}  // namespace moesaic::cpu
