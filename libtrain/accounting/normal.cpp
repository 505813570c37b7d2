#include "accounting/normal.h"

#include <cmath>
#include <numbers>

namespace moesaic::accounting {

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

double log_normal_cdf(double z) {
  if (z > -30) return std::log(normal_cdf(z));
  // Asymptotic series (Abramowitz and Stegun 26.2.12); below -30 its error is under 1e-11.
  const double r = 1 / (z * z);
  const double series = r * (-1 + r * (3 + r * (-15 + r * 105)));
  return -0.5 * z * z - std::log(-z) - 0.5 * std::log(2 * std::numbers::pi) + std::log1p(series);
}

}  // namespace moesaic::accounting
