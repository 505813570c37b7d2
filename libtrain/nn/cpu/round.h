// Rounding of float32 rows to bfloat16.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace moesaic::cpu {

/// out = in, rounded to nearest even; NaN stays NaN. By the processor's instruction where it has
/// one, which takes values below 2^-126 for 0.
void round_row(const float* in, std::int64_t n, c10::BFloat16* out);

/// The same by plain loops, on every processor.
void round_row_portably(const float* in, std::int64_t n, c10::BFloat16* out);

}  // namespace moesaic::cpu
