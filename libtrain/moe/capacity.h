// Capacity: how many tokens of a micro-batch an expert takes. Those beyond it are dropped: the
// expert adds nothing to them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace moesaic {

/// ceil(T K factor / E) (Lepikhin et al. 2020, arXiv 2006.16668, section 2.2).
std::int64_t capacity_of(double factor, std::int64_t tokens, std::int64_t experts_per_token,
                         std::int64_t experts);

/// `selected_TK` with -1 in place of the choices that an expert has no room for: the last ones in
/// the order of tokens, or those of the smallest weight (of equal ones, up to rounding,
/// the last).
at::Tensor drop_over_capacity(const at::Tensor& selected_TK, const at::Tensor& weight_TK,
                              std::int64_t experts, std::int64_t capacity, bool by_position);

}  // namespace moesaic
