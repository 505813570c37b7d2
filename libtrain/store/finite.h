// Whether weights are numbers: NaN and infinity are refused on loading.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "arch/arch.h"

namespace moesaic {

/// False when a value of a floating tensor is NaN or infinite. Reads tensors of other devices in
/// pieces.
bool all_finite(const at::Tensor& tensor);

/// The hub's name of the first weight with such a value among `rows` of a parameter, which begin
/// with row (for experts: expert) number `first`; "" when all are finite.
std::string nonfinite_weight(const std::string& parameter, arch::Scope scope, std::int64_t first,
                             const at::Tensor& rows);

}  // namespace moesaic
