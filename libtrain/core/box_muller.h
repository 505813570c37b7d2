// Two normal variates from 128 random bits, by additions, products, quotients and square roots
// alone. IEEE 754 rounds those in one way, so every processor and every vector width gives the same
// bits, which no library's log and sin promise. Include only where products and sums are not
// contracted (-ffp-contract=off).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/simd.h"

namespace moesaic {

/// The nearest float64 to n, for n < 2^52, without the conversion that only newer processors have.
MOESAIC_INLINE double small_to_double(std::uint64_t n) {
  return std::bit_cast<double>(n | 0x4330000000000000ULL) - 0x1.0p52;
}

/// Multiples of 2^-53 in [0, 1) from the high 53 of 64 bits.
MOESAIC_INLINE double unit_interval(std::uint32_t high, std::uint32_t low) {
  return small_to_double(high) * 0x1.0p-32 + small_to_double(low >> 11U) * 0x1.0p-53;
}

/// ln x for a normal x > 0, to 2 units in the last place. x = 2^k m with m in [sqrt(1/2), sqrt(2));
/// ln m = 2 artanh(s) with s = (m - 1) / (m + 1), |s| < 0.172, by its power series.
MOESAIC_INLINE double natural_log(double x) {
  constexpr std::uint64_t kRootHalf = 0x3FE6A09E667F3BCDULL, kExponent = 0xFFFULL << 52U;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t steps = bits - kRootHalf;  // k in its high 12 bits, modulo 2^12
  const double m = std::bit_cast<double>(bits - (steps & kExponent));
  const double k = small_to_double((steps + (1024ULL << 52U)) >> 52U) - 1024;
  const double s = (m - 1) / (m + 1), z = s * s;
  double p = 1.0 / 19;
  p = p * z + 1.0 / 17;
  p = p * z + 1.0 / 15;
  p = p * z + 1.0 / 13;
  p = p * z + 1.0 / 11;
  p = p * z + 1.0 / 9;
  p = p * z + 1.0 / 7;
  p = p * z + 1.0 / 5;
  p = p * z + 1.0 / 3;
  return k * 0x1.62E42FEFA39EFp-1 + (2 * s + 2 * s * (z * p));  // ln 2
}

struct SineCosine {
  double sine, cosine;
};

/// Of x in [-pi/4, pi/4], to 1 unit in the last place, by the power series to x^15 and x^16.
MOESAIC_INLINE SineCosine sine_cosine(double x) {
  const double z = x * x;
  double s = -1.0 / 1307674368000;
  s = s * z + 1.0 / 6227020800;
  s = s * z - 1.0 / 39916800;
  s = s * z + 1.0 / 362880;
  s = s * z - 1.0 / 5040;
  s = s * z + 1.0 / 120;
  s = s * z - 1.0 / 6;
  double c = 1.0 / 20922789888000;
  c = c * z - 1.0 / 87178291200;
  c = c * z + 1.0 / 479001600;
  c = c * z - 1.0 / 3628800;
  c = c * z + 1.0 / 40320;
  c = c * z - 1.0 / 720;
  c = c * z + 1.0 / 24;
  return {x + x * (z * s), (1 - 0.5 * z) + z * z * c};
}

/// Of v full turns, v in [0, 1). The turn is cut to the nearest quarter, which is exact.
MOESAIC_INLINE SineCosine sine_cosine_turns(double v) {
  constexpr double kRound = 0x1.8p52, kTau = 0x1.921FB54442D18p2;  // adding kRound rounds
  const double shifted = 4 * v + kRound;
  const auto quarter = std::bit_cast<std::uint64_t>(shifted);  // in its lowest two bits
  const SineCosine near = sine_cosine((v - 0.25 * (shifted - kRound)) * kTau);
  const auto s = std::bit_cast<std::uint64_t>(near.sine);
  const auto c = std::bit_cast<std::uint64_t>(near.cosine);
  const std::uint64_t swap = (s ^ c) & (0 - (quarter & 1U));
  const std::uint64_t sine_sign = (quarter & 2U) << 62U, cosine_sign = ((quarter + 1) & 2U) << 62U;
  return {std::bit_cast<double>((s ^ swap) ^ sine_sign),
          std::bit_cast<double>((c ^ swap) ^ cosine_sign)};
}

struct NormalPair {
  double even, odd;
};

/// The transform of Box and Muller (1958) of the four words of one philox block.
MOESAIC_INLINE NormalPair box_muller(std::uint32_t w0, std::uint32_t w1, std::uint32_t w2,
                                     std::uint32_t w3) {
  const double radius = std::sqrt(-2 * natural_log(1 - unit_interval(w1, w0)));
  const SineCosine angle = sine_cosine_turns(unit_interval(w3, w2));
  return {radius * angle.cosine, radius * angle.sine};
}

}  // namespace moesaic
