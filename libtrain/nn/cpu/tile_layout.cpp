#include "nn/cpu/tile_layout.h"

#include <algorithm>

#include "nn/cpu/round.h"
#include "nn/cpu/simd.h"

#if defined(__x86_64__)
#include <fbgemm/Utils.h>
#endif

namespace moesaic::cpu {
namespace {

using c10::BFloat16;

template <class T>
void transpose_by_loops(std::int64_t rows, std::int64_t columns, const T* in, std::int64_t in_ld,
                        T* out, std::int64_t out_ld) {
  for (std::int64_t c = 0; c < columns; ++c)
    for (std::int64_t r = 0; r < rows; ++r) out[c * out_ld + r] = in[r * in_ld + c];
}

// Bits: float, or std::uint16_t.
template <class Bits>
void transpose_bits(std::int64_t rows, std::int64_t columns, const Bits* in, std::int64_t in_ld,
                    Bits* out, std::int64_t out_ld) {
#if defined(__x86_64__)
  fbgemm::transpose_simd(rows, columns, in, in_ld, out, out_ld);
#else
  transpose_by_loops(rows, columns, in, in_ld, out, out_ld);
#endif
}

template <class T>
void copy_rows(std::int64_t rows, std::int64_t n, std::int64_t k, const T* in, std::int64_t in_ld,
               T* out, std::int64_t out_ld) {
  for (std::int64_t r = 0; r < rows; ++r) std::copy_n(in + r * in_ld, n, out + r * out_ld);
  for (std::int64_t r = rows; r < k; ++r) std::fill_n(out + r * out_ld, n, T{0});
}

MOESAIC_SIMD void add_row(const float* in, std::int64_t n, BFloat16* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) out[i] = narrow<BFloat16>(widen(out[i]) + in[i]);
}

// out[i] = (a[i], b[i]), or (a[i], 0) where b is null
MOESAIC_SIMD void interleave(const BFloat16* a, const BFloat16* b, std::int64_t n, BFloat16* out) {
  auto* pair = reinterpret_cast<std::uint32_t*>(out);
  if (b == nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) pair[i] = a[i].x;
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    pair[i] = static_cast<std::uint32_t>(a[i].x) | static_cast<std::uint32_t>(b[i].x) << 16;
}

void interleave(const float* a, const float* b, std::int64_t n, BFloat16* out) {
  constexpr std::int64_t kPart = 512;
  BFloat16 first[kPart], second[kPart];
  for (std::int64_t begin = 0; begin < n; begin += kPart) {
    const std::int64_t part = std::min(kPart, n - begin);
    round_row(a + begin, part, first);
    if (b != nullptr) round_row(b + begin, part, second);
    interleave(first, b != nullptr ? second : nullptr, part, out + 2 * begin);
  }
}

template <class T>
void pack_pairs(std::int64_t rows, std::int64_t n, std::int64_t k, const T* in, std::int64_t in_ld,
                BFloat16* out, std::int64_t out_ld) {
  std::int64_t r = 0;
  for (; r < rows; r += 2) {
    const T* const a = in + r * in_ld;
    interleave(a, r + 1 < rows ? a + in_ld : nullptr, n, out + r * out_ld);
  }
  for (; r < k; r += 2) std::fill_n(out + r * out_ld, 2 * n, BFloat16(0));
}

}  // namespace

void transpose_tile(std::int64_t rows, std::int64_t columns, const float* in, std::int64_t in_ld,
                    float* out, std::int64_t out_ld) {
  transpose_bits(rows, columns, in, in_ld, out, out_ld);
}

void transpose_tile(std::int64_t rows, std::int64_t columns, const double* in, std::int64_t in_ld,
                    double* out, std::int64_t out_ld) {
  transpose_by_loops(rows, columns, in, in_ld, out, out_ld);
}

void transpose_tile(std::int64_t rows, std::int64_t columns, const BFloat16* in, std::int64_t in_ld,
                    BFloat16* out, std::int64_t out_ld) {
  transpose_bits(rows, columns, reinterpret_cast<const std::uint16_t*>(in), in_ld,
                 reinterpret_cast<std::uint16_t*>(out), out_ld);
}

void pack_right_transposed(std::int64_t n, std::int64_t k, const float* in, std::int64_t in_ld,
                           float* out, std::int64_t out_ld) {
  transpose_tile(n, k, in, in_ld, out, out_ld);
}

void pack_right_transposed(std::int64_t n, std::int64_t k, const double* in, std::int64_t in_ld,
                           double* out, std::int64_t out_ld) {
  transpose_tile(n, k, in, in_ld, out, out_ld);
}

// Two neighbours of a row are one float of the transposition.
void pack_right_transposed(std::int64_t n, std::int64_t k, const BFloat16* in, std::int64_t in_ld,
                           BFloat16* out, std::int64_t out_ld) {
  transpose_bits(n, k / 2, reinterpret_cast<const float*>(in), in_ld / 2,
                 reinterpret_cast<float*>(out), out_ld);
}

// A few rows at a time, which stay in the first cache.
void pack_right_transposed(std::int64_t n, std::int64_t k, const float* in, std::int64_t in_ld,
                           BFloat16* out, std::int64_t out_ld) {
  constexpr std::int64_t kRows = 16, kDepth = 512;
  BFloat16 rounded[kRows * kDepth];
  for (std::int64_t row = 0; row < n; row += kRows)
    for (std::int64_t begin = 0; begin < k; begin += kDepth) {
      const std::int64_t rows = std::min(kRows, n - row), depth = std::min(kDepth, k - begin);
      round_tile(rows, depth, in + row * in_ld + begin, in_ld, rounded, kDepth);
      pack_right_transposed(rows, depth, rounded, kDepth, out + 2 * row + begin * out_ld, out_ld);
    }
}

void pack_right(std::int64_t rows, std::int64_t n, std::int64_t k, const float* in,
                std::int64_t in_ld, float* out, std::int64_t out_ld) {
  copy_rows(rows, n, k, in, in_ld, out, out_ld);
}

void pack_right(std::int64_t rows, std::int64_t n, std::int64_t k, const double* in,
                std::int64_t in_ld, double* out, std::int64_t out_ld) {
  copy_rows(rows, n, k, in, in_ld, out, out_ld);
}

void pack_right(std::int64_t rows, std::int64_t n, std::int64_t k, const BFloat16* in,
                std::int64_t in_ld, BFloat16* out, std::int64_t out_ld) {
  pack_pairs(rows, n, k, in, in_ld, out, out_ld);
}

void pack_right(std::int64_t rows, std::int64_t n, std::int64_t k, const float* in,
                std::int64_t in_ld, BFloat16* out, std::int64_t out_ld) {
  pack_pairs(rows, n, k, in, in_ld, out, out_ld);
}

void round_tile(std::int64_t rows, std::int64_t columns, const float* in, std::int64_t in_ld,
                BFloat16* out, std::int64_t out_ld) {
  for (std::int64_t r = 0; r < rows; ++r) round_row(in + r * in_ld, columns, out + r * out_ld);
}

void add_tile(std::int64_t rows, std::int64_t columns, const float* in, std::int64_t in_ld,
              BFloat16* out, std::int64_t out_ld) {
  for (std::int64_t r = 0; r < rows; ++r) add_row(in + r * in_ld, columns, out + r * out_ld);
}

}  // namespace moesaic::cpu
