#include "nn/cpu/tile_product.h"

#include <ATen/core/grad_mode.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>

#if defined(__x86_64__)
#include <fbgemm/Utils.h>
#endif

namespace moesaic::cpu {
namespace {

// LibTorch has no question for it: the micro-kernel says no by an exception.
bool has_micro_kernel() {
  static const bool has = [] {
    try {
      const float a[16] = {}, b[16] = {};
      float c[1] = {};
      at::native::cpublas::brgemm(1, 1, 1, 1, 1, 1, false, a, b, c, false);
      return true;
    } catch (const c10::Error&) {
      return false;
    }
  }();
  return has;
}

template <class T>
at::Tensor tile(const T* data, std::int64_t rows, std::int64_t columns, std::int64_t ld) {
  return at::from_blob(const_cast<T*>(data), {rows, columns}, {ld, 1},
                       c10::CppTypeToScalarType<T>::value);
}

template <class T>
void library_product(const TileShape& s, const T* a, const T* b, T* c, bool add) {
  const at::NoGradGuard no_graph;
  at::Tensor out = tile(c, s.m, s.n, s.ldc);
  const at::Tensor product = at::mm(tile(a, s.m, s.k, s.lda), tile(b, s.k, s.n, s.ldb));
  if (add)
    out.add_(product);
  else
    out.copy_(product);
}

template <class T>
void transpose_by_loops(std::int64_t rows, std::int64_t columns, const T* in, std::int64_t in_ld,
                        T* out, std::int64_t out_ld) {
  for (std::int64_t c = 0; c < columns; ++c)
    for (std::int64_t r = 0; r < rows; ++r) out[c * out_ld + r] = in[r * in_ld + c];
}

}  // namespace

void tile_product(const TileShape& s, const float* a, const float* b, float* c, bool add) {
  if (!has_micro_kernel()) return library_product(s, a, b, c, add);
  at::native::cpublas::brgemm(s.m, s.n, s.k, s.lda, s.ldb, s.ldc, add, a, b, c, false);
}

void tile_product(const TileShape& s, const double* a, const double* b, double* c, bool add) {
  library_product(s, a, b, c, add);
}

void transpose_tile(std::int64_t rows, std::int64_t columns, const float* in, std::int64_t in_ld,
                    float* out, std::int64_t out_ld) {
#if defined(__x86_64__)
  fbgemm::transpose_simd(rows, columns, in, in_ld, out, out_ld);
#else
  transpose_by_loops(rows, columns, in, in_ld, out, out_ld);
#endif
}

void transpose_tile(std::int64_t rows, std::int64_t columns, const double* in, std::int64_t in_ld,
                    double* out, std::int64_t out_ld) {
  transpose_by_loops(rows, columns, in, in_ld, out, out_ld);
}

}  // namespace moesaic::cpu
