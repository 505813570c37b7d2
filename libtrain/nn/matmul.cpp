#include "nn/matmul.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <optional>
#include <string_view>

#include "comm/communicator.h"
#include "core/error.h"

namespace moesaic {
namespace {

// oneDNN's symbols are not exported by libtorch_cpu; this operator of LibTorch is the way to it.
using LinearPointwise = at::Tensor(const at::Tensor&, const at::Tensor&,
                                   const std::optional<at::Tensor>&, std::string_view,
                                   c10::List<std::optional<at::Scalar>>,
                                   std::optional<std::string_view>);

at::Tensor onednn_product(const at::Tensor& a_MK, const at::Tensor& b_NK) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<LinearPointwise>();
  return op.call(a_MK, b_NK, std::nullopt, "none", c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace

MatmulKernel choose_matmul(const std::string& requested) {
  if (requested == "mkl") return MatmulKernel::kMkl;
  if (requested == "onednn") return MatmulKernel::kOneDnn;
  MOESAIC_ASSERT(requested == "auto");
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return MatmulKernel::kOneDnn;
#endif
  return MatmulKernel::kMkl;
}

MatmulKernel chiefs_matmul(const Communicator& world, const std::string& requested) {
  const std::string chiefs = name_of(choose_matmul(requested));
  return choose_matmul(world.broadcast(chiefs, 0, "matmul"));
}

const char* name_of(MatmulKernel kernel) { return kernel == MatmulKernel::kMkl ? "mkl" : "onednn"; }

at::Tensor product(const at::Tensor& a_MK, const at::Tensor& b_NK, MatmulKernel kernel) {
  if (a_MK.numel() == 0 || b_NK.numel() == 0) {
    return at::zeros({a_MK.size(0), b_NK.size(0)}, a_MK.options());
  }
  const bool library =
      kernel == MatmulKernel::kMkl || a_MK.scalar_type() == at::kDouble || !a_MK.is_cpu();
  return library ? at::mm(a_MK, b_NK.t()) : onednn_product(a_MK, b_NK);
}

}  // namespace moesaic
