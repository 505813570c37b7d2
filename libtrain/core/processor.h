// What this processor can do, where the code decides by it.
#pragma once

namespace moesaic {

bool has_avx512();

/// Rounds float32 to bfloat16 by an instruction (AVX-512 BF16).
bool rounds_to_bfloat16();

/// Multiplies tiles of bfloat16 (AMX).
bool multiplies_bfloat16_tiles();

}  // namespace moesaic
