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

/// One part of a row of scores becomes exp(score * scale - highest), and 0 from `valid` on. What
/// was computed with the old `highest` must be multiplied by the result. n is a multiple of 16.
float softmax_row(float* score, float scale, std::int64_t valid, std::int64_t n,
                  RunningSoftmax<float>& running);
double softmax_row(double* score, double scale, std::int64_t valid, std::int64_t n,
                   RunningSoftmax<double>& running);

/// A key's scores and gradients of probabilities over n queries, of which those before `first` do
/// not see the key: score becomes p = exp(score * scale - lse), dp becomes ds = p (dp - delta). n
/// is a multiple of 16.
void softmax_gradient_row(float* score, float* dp, float scale, const float* lse,
                          const float* delta, std::int64_t first, std::int64_t n);
void softmax_gradient_row(double* score, double* dp, double scale, const double* lse,
                          const double* delta, std::int64_t first, std::int64_t n);

}  // namespace moesaic::cpu
