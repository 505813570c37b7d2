// The row loops of the attention tiles.
#pragma once

#include "nn/cpu/simd.h"

namespace moesaic::cpu {

/// out = in * factor; in and out may be the same.
void scaled_copy(const float* in, float* out, std::int64_t n, float factor);
void scaled_copy(const c10::BFloat16* in, float* out, std::int64_t n, float factor);
void scaled_copy(const float* in, c10::BFloat16* out, std::int64_t n, float factor);
void scaled_copy(const double* in, double* out, std::int64_t n, double factor);

/// a . b
float dot(const float* a, const float* b, std::int64_t n);
float dot(const float* a, const c10::BFloat16* b, std::int64_t n);
double dot(const double* a, const double* b, std::int64_t n);

/// One row of scores becomes exp(score - highest), and 0 from `valid` on. `highest` and `sum` go on
/// from the part of the row before this one; what was computed with the old `highest` must be
/// multiplied by the result.
float softmax_row(float* score, std::int64_t valid, std::int64_t n, float& highest, float& sum);
double softmax_row(double* score, std::int64_t valid, std::int64_t n, double& highest, double& sum);

/// A key's row of scores p and of probability gradients ds, over n queries of which those before
/// `first` do not see the key: p = exp(p - lse), ds = p (ds - delta).
void softmax_gradient_row(float* p, float* ds, const float* lse, const float* delta,
                          std::int64_t first, std::int64_t n);
void softmax_gradient_row(double* p, double* ds, const double* lse, const double* delta,
                          std::int64_t first, std::int64_t n);

}  // namespace moesaic::cpu
