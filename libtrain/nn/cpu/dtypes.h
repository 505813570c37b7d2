// From the dtype of a tensor to the type of a loop.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/error.h"
#include "nn/cpu/simd.h"

namespace moesaic::cpu {

/// Calls visit(T{}) with the C++ type of `dtype`: float or c10::BFloat16.
template <class Visit>
void with_narrow_dtype(at::ScalarType dtype, const Visit& visit) {
  if (dtype == at::kFloat) return visit(float{});
  if (dtype == at::kBFloat16) return visit(c10::BFloat16{});
  throw Error(ErrorKind::kInternal, format("no CPU loop for {}", c10::toString(dtype)));
}

/// Calls visit(T{}) with the C++ type of `dtype`: float, c10::BFloat16 or double.
template <class Visit>
void with_dtype(at::ScalarType dtype, const Visit& visit) {
  if (dtype == at::kDouble) return visit(double{});
  with_narrow_dtype(dtype, visit);
}

/// As above for two tensors of one operation: both float64 or neither is.
template <class Visit>
void with_dtypes(at::ScalarType first, at::ScalarType second, const Visit& visit) {
  if ((first == at::kDouble) != (second == at::kDouble))
    throw Error(ErrorKind::kInternal,
                format("{} mixed with {}", c10::toString(first), c10::toString(second)));
  if (first == at::kDouble) return visit(double{}, double{});
  with_narrow_dtype(first,
                    [&](auto a) { with_narrow_dtype(second, [&](auto b) { visit(a, b); }); });
}

}  // namespace moesaic::cpu
