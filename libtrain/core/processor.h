// What this processor can do, where the code decides by it.
#pragma once

namespace moesaic {

bool has_avx512();

/// Rounds float32 to bfloat16 by an instruction (AVX-512 BF16).
bool rounds_to_bfloat16();

/// Multiplies pairs of bfloat16 by an instruction (AMX, or AVX-512 BF16).
bool multiplies_bfloat16_pairs();

}  // namespace moesaic
