// A row of a weight in the blocks of a GGUF file times rows of float32. The numbers of a block are
// made in registers, and none is written to memory.
#pragma once

#include <cstdint>

#include "config/gguf_header.h"

namespace moesaic::cpu {

/// sums[r] = the `columns` numbers of `row` . a_r, for `rows` rows a_r that lie one after the
/// other. A sum does not depend on the rows beside it.
using BlockLoop = void (*)(const std::uint8_t* row, std::int64_t columns, const float* a,
                           std::int64_t rows, float* sums);

/// nullptr where this processor has none for rows of that type and width.
BlockLoop block_loop(const GgufTensorType& type, std::int64_t columns);

}  // namespace moesaic::cpu
