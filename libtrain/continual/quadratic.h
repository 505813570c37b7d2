// The quadratic pull of a weight to an anchor, on a CPU in one pass over the values.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic {

/// Adds factor * importance (weight - anchor) to `gradient` in place. -> the sum of
/// importance (weight - anchor)^2, in float64. All are of one shape; `importance` not defined: 1
/// throughout. Local.
double add_quadratic_pull(const at::Tensor& weight, const at::Tensor& importance,
                          const at::Tensor& anchor, double factor, const at::Tensor& gradient);

}  // namespace moesaic
