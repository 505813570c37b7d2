// Products of small row-major tiles that lie in the cache, for kernels that mix them with other
// work. Large products go through nn/matmul.
#pragma once

#include <cstdint>

namespace moesaic::cpu {

struct TileShape {
  std::int64_t m, n, k;
  std::int64_t lda, ldb, ldc;  // values from one row to the next
};

/// c_mn = a_mk b_kn, or c_mn += a_mk b_kn when `add`. One thread. float32: oneDNN's micro-kernel
/// where the processor has it (a code sequence is kept for each shape ever asked for: use few
/// shapes), LibTorch's product elsewhere.
void tile_product(const TileShape& shape, const float* a, const float* b, float* c, bool add);
void tile_product(const TileShape& shape, const double* a, const double* b, double* c, bool add);

/// out [columns, rows] = in [rows, columns] transposed.
void transpose_tile(std::int64_t rows, std::int64_t columns, const float* in, std::int64_t in_ld,
                    float* out, std::int64_t out_ld);
void transpose_tile(std::int64_t rows, std::int64_t columns, const double* in, std::int64_t in_ld,
                    double* out, std::int64_t out_ld);

}  // namespace moesaic::cpu
