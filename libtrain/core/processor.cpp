#include "core/processor.h"

namespace moesaic {

#if defined(__x86_64__)

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

bool rounds_to_bfloat16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }

bool multiplies_bfloat16_pairs() {
  return __builtin_cpu_supports("amx-bf16") || rounds_to_bfloat16();
}

#else

bool has_avx512() { return false; }
bool rounds_to_bfloat16() { return false; }
bool multiplies_bfloat16_pairs() { return false; }

#endif

}  // namespace moesaic
