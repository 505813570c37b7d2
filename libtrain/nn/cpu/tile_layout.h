// Brings tiles into the layouts that nn/cpu/tile_product.h wants. Row-major, leading dimensions in
// values.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <type_traits>

namespace moesaic::cpu {

/// Values of E that stand in one column of a row of a right operand.
template <class E>
constexpr std::int64_t kValuesPerColumn = std::is_same_v<E, c10::BFloat16> ? 2 : 1;

/// out [columns, rows] = in [rows, columns] transposed.
void transpose_tile(std::int64_t rows, std::int64_t columns, const float* in, std::int64_t in_ld,
                    float* out, std::int64_t out_ld);
void transpose_tile(std::int64_t rows, std::int64_t columns, const double* in, std::int64_t in_ld,
                    double* out, std::int64_t out_ld);
void transpose_tile(std::int64_t rows, std::int64_t columns, const c10::BFloat16* in,
                    std::int64_t in_ld, c10::BFloat16* out, std::int64_t out_ld);

/// in [n, k] as right operand of k rows: transposed, for bfloat16 in pairs (then k and, of bfloat16
/// input, in_ld are even). out_ld in columns.
void pack_right_transposed(std::int64_t n, std::int64_t k, const float* in, std::int64_t in_ld,
                           float* out, std::int64_t out_ld);
void pack_right_transposed(std::int64_t n, std::int64_t k, const double* in, std::int64_t in_ld,
                           double* out, std::int64_t out_ld);
void pack_right_transposed(std::int64_t n, std::int64_t k, const c10::BFloat16* in,
                           std::int64_t in_ld, c10::BFloat16* out, std::int64_t out_ld);

/// As above, of values rounded to bfloat16.
void pack_right_transposed(std::int64_t n, std::int64_t k, const float* in, std::int64_t in_ld,
                           c10::BFloat16* out, std::int64_t out_ld);

/// in [rows, n] as right operand of `k` >= rows rows, those from `rows` on zero: a copy, for
/// bfloat16 in pairs (k even). out_ld in columns.
void pack_right(std::int64_t rows, std::int64_t n, std::int64_t k, const float* in,
                std::int64_t in_ld, float* out, std::int64_t out_ld);
void pack_right(std::int64_t rows, std::int64_t n, std::int64_t k, const double* in,
                std::int64_t in_ld, double* out, std::int64_t out_ld);
void pack_right(std::int64_t rows, std::int64_t n, std::int64_t k, const c10::BFloat16* in,
                std::int64_t in_ld, c10::BFloat16* out, std::int64_t out_ld);

/// As above, of values rounded to bfloat16.
void pack_right(std::int64_t rows, std::int64_t n, std::int64_t k, const float* in,
                std::int64_t in_ld, c10::BFloat16* out, std::int64_t out_ld);

/// out = in, rounded.
void round_tile(std::int64_t rows, std::int64_t columns, const float* in, std::int64_t in_ld,
                c10::BFloat16* out, std::int64_t out_ld);
/// out += in, rounded once.
void add_tile(std::int64_t rows, std::int64_t columns, const float* in, std::int64_t in_ld,
              c10::BFloat16* out, std::int64_t out_ld);

}  // namespace moesaic::cpu
