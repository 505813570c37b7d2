#include "nn/matmul.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include "comm/communicator.h"
#include "core/error.h"
#include "core/processor.h"
#include "nn/cpu/blocked_product.h"
#include "nn/cpu/row_product.h"

namespace moesaic {
namespace {

bool is_blocked(const at::Tensor& a, MatmulKernel kernel) {
  return kernel == MatmulKernel::kOneDnn && a.is_cpu() && cpu::has_blocked_product(a.scalar_type());
}

// bfloat16 is multiplied in pairs along the inner dimension.
bool has_pairs(const at::Tensor& a_MK) {
  return a_MK.scalar_type() != at::kBFloat16 || a_MK.size(1) % 2 == 0;
}

at::Tensor row_major(const at::Tensor& x) {
  if (x.stride(1) != 1) return x.contiguous();
  const bool pairs = x.scalar_type() != at::kBFloat16 || x.stride(0) % 2 == 0;
  const bool apart = x.stride(0) >= x.size(1);  // unlike those of an expanded row
  return x.size(0) == 1 || (pairs && apart) ? x : x.clone(at::MemoryFormat::Contiguous);
}

bool has_row_product(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel) {
  return multiplies_rows(a_MK.size(0), kernel) && cpu::has_row_product(a_MK, b_NK);
}

void multiply_rows(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& out_MN,
                   bool add) {
  const at::Tensor rows = add ? at::empty(out_MN.sizes(), out_MN.options()) : out_MN;
  cpu::row_product(a_MK, b_NK, rows);
  if (add) out_MN.add_(rows);
}

// out = a b^T, or out += a b^T when `add`.
void multiply(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel,
              at::Tensor out_MN, bool add) {
  if (a_MK.numel() == 0 || b_NK.numel() == 0) {
    if (!add) out_MN.zero_();
  } else if (widens_right(a_MK, b_NK, kernel) ||
             (a_MK.scalar_type() == b_NK.scalar_type() && has_row_product(a_MK, b_NK, kernel))) {
    multiply_rows(a_MK, b_NK, out_MN, add);
  } else if (!is_blocked(a_MK, kernel) || !has_pairs(a_MK)) {
    const at::Tensor b_KN = b_NK.to(a_MK.scalar_type()).t();
    if (add)
      out_MN.addmm_(a_MK, b_KN);
    else
      at::mm_out(out_MN, a_MK, b_KN);
  } else if (!rounds_right(a_MK.scalar_type(), b_NK, kernel)) {
    multiply(a_MK, b_NK.to(a_MK.scalar_type()), kernel, out_MN, add);
  } else if (b_NK.stride(1) != 1 && b_NK.stride(0) == 1) {
    cpu::product_plain(row_major(a_MK), b_NK.t(), out_MN, add);
  } else {
    cpu::product_transposed(row_major(a_MK), row_major(b_NK), out_MN, add);
  }
}

}  // namespace

MatmulKernel choose_matmul(const std::string& requested) {
  if (requested == "mkl") return MatmulKernel::kMkl;
  if (requested == "onednn") return MatmulKernel::kOneDnn;
  MOESAIC_ASSERT(requested == "auto");
  return has_avx512() ? MatmulKernel::kOneDnn : MatmulKernel::kMkl;
}

MatmulKernel chiefs_matmul(const Communicator& world, const std::string& requested) {
  const std::string chiefs = name_of(choose_matmul(requested));
  return choose_matmul(world.broadcast(chiefs, 0, "matmul"));
}

const char* name_of(MatmulKernel kernel) {
  if (kernel == MatmulKernel::kRows) return "rows";
  return kernel == MatmulKernel::kMkl ? "mkl" : "onednn";
}

bool rounds_right(at::ScalarType dtype, const at::Tensor& b_NK, MatmulKernel kernel) {
  if (b_NK.scalar_type() == dtype) return true;
  if (b_NK.size(-1) % 2 != 0 || b_NK.size(-2) % 2 != 0)
    return false;  // either may be the inner one
  return b_NK.scalar_type() == at::kFloat && dtype == at::kBFloat16 && b_NK.is_cpu() &&
         kernel == MatmulKernel::kOneDnn && cpu::has_blocked_product(dtype);
}

bool widens_right(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel) {
  return a_MK.scalar_type() == at::kFloat && b_NK.scalar_type() == at::kBFloat16 &&
         has_row_product(a_MK, b_NK, kernel);
}

bool multiplies_rows(std::int64_t rows, MatmulKernel kernel) {
  return rows <= cpu::kFewRows || kernel == MatmulKernel::kRows;
}

at::Tensor product(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel) {
  const at::Tensor out_MN = at::empty({a_MK.size(0), b_NK.size(0)}, a_MK.options());
  product_into(a_MK, b_NK, kernel, out_MN);
  return out_MN;
}

void product_into(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel,
                  const at::Tensor& out_MN) {
  multiply(a_MK, b_NK, kernel, out_MN, false);
}

void add_product(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel,
                 const at::Tensor& sum_MN) {
  multiply(a_MK, b_NK, kernel, sum_MN, true);
}

void add_product_of_rows(const at::Tensor& a_TM, const at::Tensor& b_TN, MatmulKernel kernel,
                         at::Tensor sum_MN) {
  if (a_TM.size(0) == 0) return;
  if (is_blocked(a_TM, kernel) && sum_MN.scalar_type() == at::kFloat)
    cpu::add_product_of_rows(row_major(a_TM), row_major(b_TN), sum_MN);
  else if (sum_MN.scalar_type() == a_TM.scalar_type())
    sum_MN.addmm_(a_TM.t(), b_TN);
  else
    sum_MN.add_(at::mm(a_TM.t(), b_TN));
}

}  // namespace moesaic
