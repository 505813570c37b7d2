#include "accounting/gaussian.h"

#include <algorithm>
#include <cmath>

#include "accounting/normal.h"

namespace moesaic::accounting {

double gaussian_delta(double mu, double epsilon) {
  const double first = log_normal_cdf(mu / 2 - epsilon / mu);
  const double second = epsilon + log_normal_cdf(-mu / 2 - epsilon / mu);
  return second >= first ? 0 : -std::exp(first) * std::expm1(second - first);
}

double gaussian_epsilon(double mu, double delta) {
  double low = 0;
  if (gaussian_delta(mu, low) <= delta) return 0;
  double high = 1;
  while (gaussian_delta(mu, high) > delta) high *= 2;
  while (high - low > 1e-13 * high) {
    const double middle = low + (high - low) / 2;
    (gaussian_delta(mu, middle) > delta ? low : high) = middle;
  }
  return high;
}

double gaussian_mu(const Events& events) {
  double sum = 0;
  for (const Event& event : events)
    sum += static_cast<double>(event.steps) / (event.noise_multiplier * event.noise_multiplier);
  return std::sqrt(sum);
}

double approximate_mu(const Events& events) {
  double sum = 0;
  for (const Event& event : events) {
    const double s = 1 / event.noise_multiplier;
    const double one = std::exp(s * s) * normal_cdf(1.5 * s) + 3 * normal_cdf(-0.5 * s) - 2;
    sum += static_cast<double>(event.steps) * event.sampling_rate * event.sampling_rate *
           std::max(one, 0.0);
  }
  return std::sqrt(sum);
}

}  // namespace moesaic::accounting
