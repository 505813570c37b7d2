#include "nn/cpu/block_loops.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "core/processor.h"
#include "nn/cpu/simd.h"
#include "parallel/gguf_dequantise.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace moesaic::cpu {

#if defined(__x86_64__)
namespace {

#define MOESAIC_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))

using Bytes = const std::uint8_t*;

constexpr int kRun = 32;      // values that are made at a time
constexpr int kAhead = 4096;  // bytes from those that are read to those that memory is asked for
constexpr int kTogether = 4;  // rows of a for which a block is made once

// The numbers of a run.
struct Run {
  __m512 first, second;
};

MOESAIC_AVX512 MOESAIC_INLINE __m512 half_in_all_lanes(Bytes at) {
  std::int16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return _mm512_cvtph_ps(_mm256_set1_epi16(bits));
}
MOESAIC_AVX512 MOESAIC_INLINE __m128i sixteen(Bytes at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
MOESAIC_AVX512 MOESAIC_INLINE __m512 zero_to_fifteen() {
  return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

// Each type: its bytes and runs of a block, and the numbers of run j. What 4 bits can stand for is
// a table of 16 lanes; the permutation looks at the low 4 bits of a lane alone.
struct F16Run {
  static constexpr int kBytes = 64, kRuns = 1;
  static MOESAIC_AVX512 MOESAIC_INLINE Run run(Bytes b, int) {
    const auto* const halves = reinterpret_cast<const __m256i*>(b);
    return {_mm512_cvtph_ps(_mm256_loadu_si256(halves)),
            _mm512_cvtph_ps(_mm256_loadu_si256(halves + 1))};
  }
};

struct Q8Block {
  static constexpr int kBytes = 34, kRuns = 1;
  static MOESAIC_AVX512 MOESAIC_INLINE __m512 number(__m512 scale, Bytes codes) {
    return _mm512_mul_ps(scale, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen(codes))));
  }
  static MOESAIC_AVX512 MOESAIC_INLINE Run run(Bytes b, int) {
    const __m512 scale = half_in_all_lanes(b);
    return {number(scale, b + 2), number(scale, b + 18)};
  }
};

MOESAIC_AVX512 MOESAIC_INLINE Run nibbles_in(Bytes codes, __m512 table) {
  const __m512i lanes = _mm512_cvtepu8_epi32(sixteen(codes));
  return {_mm512_permutexvar_ps(lanes, table),
          _mm512_permutexvar_ps(_mm512_srli_epi32(lanes, 4), table)};
}

struct Q4Block {
  static constexpr int kBytes = 18, kRuns = 1;
  static MOESAIC_AVX512 MOESAIC_INLINE Run run(Bytes b, int) {
    const __m512 codes = _mm512_sub_ps(zero_to_fifteen(), _mm512_set1_ps(8));
    return nibbles_in(b + 2, _mm512_mul_ps(half_in_all_lanes(b), codes));
  }
};

struct Q4BlockWithMinimum {
  static constexpr int kBytes = 20, kRuns = 1;
  static MOESAIC_AVX512 MOESAIC_INLINE Run run(Bytes b, int) {
    const __m512 scaled = _mm512_mul_ps(half_in_all_lanes(b), zero_to_fifteen());
    return nibbles_in(b + 4, _mm512_add_ps(scaled, half_in_all_lanes(b + 2)));
  }
};

struct Q4KBlock {
  static constexpr int kBytes = 144, kRuns = 8;
  static MOESAIC_AVX512 MOESAIC_INLINE __m512 number(Bytes codes, int shift, __m512 table) {
    const __m512i lanes = _mm512_cvtepu8_epi32(sixteen(codes));
    return _mm512_permutexvar_ps(_mm512_srlv_epi32(lanes, _mm512_set1_epi32(shift)), table);
  }
  static MOESAIC_AVX512 MOESAIC_INLINE Run run(Bytes b, int j) {
    const auto [scale, minimum] = ScaleAndMinimum::at(b + 4, j);
    const __m512 scales =
        _mm512_mul_ps(half_in_all_lanes(b), _mm512_set1_ps(static_cast<float>(scale)));
    const __m512 minima =
        _mm512_mul_ps(half_in_all_lanes(b + 2), _mm512_set1_ps(static_cast<float>(minimum)));
    const __m512 table = _mm512_sub_ps(_mm512_mul_ps(scales, zero_to_fifteen()), minima);
    const Bytes codes = b + 16 + j / 2 * 32;
    return {number(codes, j % 2 * 4, table), number(codes + 16, j % 2 * 4, table)};
  }
};

struct Q6KBlock {
  static constexpr int kBytes = 210, kRuns = 8;
  static MOESAIC_AVX512 MOESAIC_INLINE __m512 number(__m512 d, Bytes b, int j, int half) {
    const int part = j / 4, quarter = j % 4;
    const __m512i low = _mm512_cvtepu8_epi32(sixteen(b + part * 64 + quarter % 2 * 32 + half * 16));
    const __m512i high = _mm512_cvtepu8_epi32(sixteen(b + 128 + part * 32 + half * 16));
    const __m512i low_bits = _mm512_and_si512(
        _mm512_srlv_epi32(low, _mm512_set1_epi32(quarter / 2 * 4)), _mm512_set1_epi32(15));
    const __m512i high_bits = _mm512_and_si512(
        _mm512_srlv_epi32(high, _mm512_set1_epi32(quarter * 2)), _mm512_set1_epi32(3));
    const __m512i code = _mm512_sub_epi32(
        _mm512_or_si512(low_bits, _mm512_slli_epi32(high_bits, 4)), _mm512_set1_epi32(32));
    const auto scale = static_cast<std::int8_t>(b[192 + 2 * j + half]);
    const __m512 scales = _mm512_mul_ps(d, _mm512_set1_ps(static_cast<float>(scale)));
    return _mm512_mul_ps(scales, _mm512_cvtepi32_ps(code));
  }
  static MOESAIC_AVX512 MOESAIC_INLINE Run run(Bytes b, int j) {
    const __m512 d = half_in_all_lanes(b + 208);
    return {number(d, b, j, 0), number(d, b, j, 1)};
  }
};

// Against kRows rows of a.
template <class Block, int kRows>
MOESAIC_AVX512 void times_rows(Bytes row, std::int64_t columns, const float* a, float* sums) {
  __m512 first[kRows], second[kRows];
  for (int r = 0; r < kRows; ++r) first[r] = second[r] = _mm512_setzero_ps();
  for (std::int64_t column = 0; column < columns; row += Block::kBytes) {
    for (int j = 0; j < Block::kRuns; ++j, column += kRun) {
      __builtin_prefetch(row + kAhead + j * (Block::kBytes / Block::kRuns));
      const Run run = Block::run(row, j);
      for (int r = 0; r < kRows; ++r) {
        const float* const at = a + r * columns + column;
        first[r] = _mm512_fmadd_ps(_mm512_loadu_ps(at), run.first, first[r]);
        second[r] = _mm512_fmadd_ps(_mm512_loadu_ps(at + kRun / 2), run.second, second[r]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r)
    sums[r] = _mm512_reduce_add_ps(_mm512_add_ps(first[r], second[r]));
}

template <class Block>
void times_all_rows(Bytes row, std::int64_t columns, const float* a, std::int64_t rows,
                    float* sums) {
  for (; rows >= kTogether; rows -= kTogether) {
    times_rows<Block, kTogether>(row, columns, a, sums);
    a += kTogether * columns;
    sums += kTogether;
  }
  if (rows == 3) times_rows<Block, 3>(row, columns, a, sums);
  if (rows == 2) times_rows<Block, 2>(row, columns, a, sums);
  if (rows == 1) times_rows<Block, 1>(row, columns, a, sums);
}

}  // namespace

BlockLoop block_loop(const GgufTensorType& type, std::int64_t columns) {
  constexpr std::pair<std::string_view, BlockLoop> kLoops[] = {
      {"F16", times_all_rows<F16Run>},    {"Q8_0", times_all_rows<Q8Block>},
      {"Q4_0", times_all_rows<Q4Block>},  {"Q4_1", times_all_rows<Q4BlockWithMinimum>},
      {"Q4_K", times_all_rows<Q4KBlock>}, {"Q6_K", times_all_rows<Q6KBlock>}};
  if (!has_avx512() || columns % kRun != 0) return nullptr;
  for (const auto& [name, loop] : kLoops)
    if (name == type.name) return loop;
  return nullptr;
}

#else

BlockLoop block_loop(const GgufTensorType&, std::int64_t) { return nullptr; }

#endif

}  // namespace moesaic::cpu
