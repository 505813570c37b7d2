// The row loops of the attention tiles.
#pragma once

#include <limits>

#include "nn/cpu/simd.h"

namespace moesaic::cpu {

/// out = in * factor; in and out may be the same.
void scaled_copy(const float* in, float* out, std::int64_t n, float factor);
void scaled_copy(const c10::BFloat16* in, float* out, std::int64_t n, float factor);
void scaled_copy(const float* in, c10::BFloat16* out, std::int64_t n, float factor);
void scaled_copy(const double* in, double* out, std::int64_t n, double factor);

/// a . b
float dot(const float* a, const float* b, std::int64_t n);
float dot(const c10::BFloat16* a, const c10::BFloat16* b, std::int64_t n);
double dot(const double* a, const double* b, std::int64_t n);

/// What softmax_row keeps of a row of scores from one part of it to the next.
template <class A>
struct RunningSoftmax {
  A highest = -std::numeric_limits<A>::infinity();
  A sum = 0;
};

/// p = exp(score * scale - highest) for one part of a row, 0 from `valid` on; `p` may be `score`.
/// What was computed with the old `highest` must be multiplied by the result.
float softmax_row(const float* score, float scale, std::int64_t valid, std::int64_t n,
                  RunningSoftmax<float>& running, float* p);
float softmax_row(const float* score, float scale, std::int64_t valid, std::int64_t n,
                  RunningSoftmax<float>& running, c10::BFloat16* p);
double softmax_row(const double* score, double scale, std::int64_t valid, std::int64_t n,
                   RunningSoftmax<double>& running, double* p);

/// A key's scores and gradients of probabilities dp over n queries, of which those before `first`
/// do not see the key: p = exp(score * scale - lse), ds = p (dp - delta). In place where types
/// allow.
void softmax_gradient_row(const float* score, const float* dp, float scale, const float* lse,
                          const float* delta, std::int64_t first, std::int64_t n, float* p,
                          float* ds);
void softmax_gradient_row(const float* score, const float* dp, float scale, const float* lse,
                          const float* delta, std::int64_t first, std::int64_t n, c10::BFloat16* p,
                          c10::BFloat16* ds);
void softmax_gradient_row(const double* score, const double* dp, double scale, const double* lse,
                          const double* delta, std::int64_t first, std::int64_t n, double* p,
                          double* ds);

}  // namespace moesaic::cpu
