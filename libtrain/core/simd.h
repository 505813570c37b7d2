// Loops in plain C++ that the compiler turns into vector code, once for each kind of processor; the
// right one is chosen when the program is loaded.
#pragma once

// Put before a function (not a template) with loops. Functions that it calls must be
// MOESAIC_INLINE: only then are they compiled for the same processor.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define MOESAIC_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MOESAIC_SIMD
#endif
#define MOESAIC_INLINE inline __attribute__((always_inline))
