#include "nn/cpu/tile_product.h"

#include <ATen/core/grad_mode.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>

#include <exception>

#include "core/processor.h"

namespace moesaic::cpu {
namespace {

// LibTorch has no question for it: the micro-kernel says no by an exception.
template <class T>
bool answers() {
  try {
    const T a[32] = {}, b[32] = {};
    float c[1] = {};
    at::native::cpublas::brgemm(1, 1, 2, 2, 1, 1, false, a, b, c, sizeof(T) == 2);
    at::native::cpublas::brgemm_release();
    return true;
  } catch (const std::exception&) {  // c10::Error, or dnnl::error of a restricted oneDNN
    return false;
  }
}

bool has_micro_kernel() {
  static const bool has = answers<float>();
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

}  // namespace

bool has_bfloat16_tiles() {
  // Elsewhere bfloat16 is LibTorch's own product (docs/design/decisions.md).
  static const bool has = multiplies_bfloat16_pairs() && answers<c10::BFloat16>();
  return has;
}

TileRegion::~TileRegion() {
  if (has_bfloat16_tiles()) at::native::cpublas::brgemm_release();
}

void tile_product(const TileShape& s, const float* a, const float* b, float* c, bool add) {
  if (!has_micro_kernel()) return library_product(s, a, b, c, add);
  at::native::cpublas::brgemm(s.m, s.n, s.k, s.lda, s.ldb, s.ldc, add, a, b, c, false);
}

void tile_product(const TileShape& s, const double* a, const double* b, double* c, bool add) {
  library_product(s, a, b, c, add);
}

void tile_product(const TileShape& s, const c10::BFloat16* a, const c10::BFloat16* b, float* c,
                  bool add) {
  at::native::cpublas::brgemm(s.m, s.n, s.k, s.lda, s.ldb, s.ldc, add, a, b, c, true);
}

}  // namespace moesaic::cpu
