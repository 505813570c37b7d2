// Draws that belong to tokens: no layout, order or recomputation changes them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/random.h"

namespace moesaic {

/// uniform [0, 1) of each token and column, [T, columns], float64: a function of the key and the
/// token's place (Batch::place_T).
at::Tensor token_uniform(const RandomKey& key, const at::Tensor& place_T, std::int64_t columns);

}  // namespace moesaic
