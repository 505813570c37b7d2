// Products of small tiles that lie in the cache, for kernels that mix them with other work. Large
// products go through nn/matmul.
//
// Tiles are row-major. The right operand of a bfloat16 product lies in pairs of rows: values
// (2i, j) and (2i + 1, j) are neighbours, and k is even.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace moesaic::cpu {

struct TileShape {
  std::int64_t m, n, k;
  std::int64_t lda, ldb, ldc;  // columns from one row to the next, also of a row of pairs
};

/// c_mn = a_mk b_kn, or c_mn += a_mk b_kn when `add`. One thread. float32 and bfloat16: oneDNN's
/// micro-kernel (a code sequence is kept for each shape ever asked for: use few shapes), float32
/// without it and float64: LibTorch's product.
void tile_product(const TileShape& shape, const float* a, const float* b, float* c, bool add);
void tile_product(const TileShape& shape, const double* a, const double* b, double* c, bool add);
/// Only where has_bfloat16_tiles(), and inside a TileRegion.
void tile_product(const TileShape& shape, const c10::BFloat16* a, const c10::BFloat16* b, float* c,
                  bool add);

/// The processor multiplies bfloat16 (AMX, or AVX-512 BF16) and LibTorch has the micro-kernel.
bool has_bfloat16_tiles();

/// A thread's stretch of tile products. Its end gives the processor's tile registers back: other
/// kernels set them up for themselves.
class TileRegion {
 public:
  TileRegion() = default;
  ~TileRegion();
  TileRegion(const TileRegion&) = delete;
  TileRegion& operator=(const TileRegion&) = delete;
};

}  // namespace moesaic::cpu
