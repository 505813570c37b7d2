// The values in the blocks of a GGUF tensor, as ggml computes them.
#pragma once

#include <cstdint>

#include "config/gguf_header.h"

namespace moesaic {

/// `values` values (a multiple of a block's) from `blocks` into `out`.
void dequantise(const GgufTensorType& type, const std::uint8_t* blocks, std::int64_t values,
                float* out);

/// Of 32 values in a block of Q4_K: 6 bits each.
struct ScaleAndMinimum {
  int scale, minimum;

  /// Number j of the 12 bytes `packed`.
  static ScaleAndMinimum at(const std::uint8_t* packed, int j) {
    if (j < 4) return {packed[j] & 63, packed[j + 4] & 63};
    return {(packed[j + 4] & 15) | (packed[j - 4] >> 6 << 4),
            (packed[j + 4] >> 4) | (packed[j] >> 6 << 4)};
  }
};

}  // namespace moesaic
