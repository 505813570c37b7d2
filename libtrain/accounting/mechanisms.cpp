#include "accounting/mechanisms.h"

#include <cmath>

namespace moesaic::accounting {

std::vector<double> banded_coefficients(int bands) {
  std::vector<double> c{1};
  for (int k = 1; k < bands; ++k) c.push_back(c.back() * (2.0 * k - 1) / (2.0 * k));
  return c;
}

double banded_sensitivity_squared(int bands, int participations) {
  double sum = 0;
  for (const double c : banded_coefficients(bands)) sum += c * c;
  return participations * sum;
}

Event banded_event(double noise_multiplier, int bands) {
  return {noise_multiplier / std::sqrt(banded_sensitivity_squared(bands, 1)), 1, 1, 0};
}

double gradient_noise_multiplier(double noise_multiplier, double count_noise) {
  const double left =
      1 / (noise_multiplier * noise_multiplier) - 1 / (4 * count_noise * count_noise);
  if (!(left > 0)) {
    throw Error(ErrorKind::kRecipe,
                format("noise {} on the count of adaptive clipping leaves nothing of a noise "
                       "multiplier of {} for the gradients",
                       count_noise, noise_multiplier),
                "the noise on the count must be above half the noise multiplier");
  }
  return 1 / std::sqrt(left);
}

}  // namespace moesaic::accounting
