// The values in the blocks of a GGUF tensor, as ggml computes them.
#pragma once

#include <cstdint>

#include "config/gguf_header.h"

namespace moesaic {

/// `values` values (a multiple of a block's) from `blocks` into `out`.
void dequantise(const GgufTensorType& type, const char* blocks, std::int64_t values, float* out);

}  // namespace moesaic
