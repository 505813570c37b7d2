// What the loops of nn/cpu (core/simd.h) have in common.
#pragma once

#include <c10/util/BFloat16.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "core/simd.h"

namespace moesaic::cpu {

/// In which type a loop over T computes: float64 in itself, everything else in float32.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// Rows [first, last) of a row-major matrix of that width.
struct Rows {
  std::int64_t first, last, width;
};

/// The value of x in the type that loops compute in.
MOESAIC_INLINE float widen(float x) { return x; }
MOESAIC_INLINE double widen(double x) { return x; }
MOESAIC_INLINE float widen(c10::BFloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.x) << 16);
}

/// x as a T, rounded to nearest even. Without the branch of c10's conversion, which keeps the
/// compiler from making vectors of it.
template <class T>
MOESAIC_INLINE T narrow(Wide<T> x) {
  if constexpr (std::is_same_v<T, c10::BFloat16>) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    const std::uint32_t kept = (bits & 0x7FFFFFFFU) > 0x7F800000U ? 0x7FC0U : rounded;  // NaN
    return T(static_cast<std::uint16_t>(kept), T::from_bits());
  } else {
    return x;
  }
}

/// e^x to 2 units in the last place for x <= 87, saturated below -87; beyond 88 any value. NaN
/// stays NaN. Coefficients: Cephes (Moshier), expf.c.
MOESAIC_INLINE float exponential_below_88(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 x 2^23: adding it rounds to an integer
  x = x < -87.3F ? -87.3F : x;
  const float n = (x * 1.442695041F + kRound) - kRound;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const float y = (p * r * r + r) + 1.0F;
  return y * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}
MOESAIC_INLINE double exponential_below_88(double x) { return std::exp(x); }

/// As above, saturated beyond 88, too.
MOESAIC_INLINE float exponential(float x) { return exponential_below_88(x > 88.0F ? 88.0F : x); }
MOESAIC_INLINE double exponential(double x) { return std::exp(x); }

}  // namespace moesaic::cpu
