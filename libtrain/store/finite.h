// Whether weights are numbers: NaN and infinity are refused on loading.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "arch/parameter_table.h"

namespace moesaic {

/// False when a value of a floating tensor is NaN or infinite. Reads tensors of other devices in
/// pieces.
bool all_finite(const at::Tensor& tensor);

/// Error(kCheckpoint) with the hub's name of the first weight that has such a value among `rows` of
/// a parameter of the model in `path`; they begin with row (for experts: expert) number `first`.
void require_finite(const std::string& parameter, arch::Scope scope, std::int64_t first,
                    const at::Tensor& rows, const std::string& path);

}  // namespace moesaic
