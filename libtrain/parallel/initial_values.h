// Initial values of parameters, from arch's table.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "arch/parameter_table.h"

namespace moesaic {

/// Fills `local`, rows of the parameter from `first_row` of its first dimension on (CPU): ones,
/// zeros, or draws of mean 0 and standard deviation init_std, normal or uniform, keyed by global
/// name and element, so that every layout makes the same model.
void fill_initial_values(const arch::ParameterInfo& info, std::int64_t first_row,
                         std::uint64_t seed, at::Tensor& local);

}  // namespace moesaic
