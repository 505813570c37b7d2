// What other mechanisms cost, in terms of Gaussian releases.
#pragma once

#include <vector>

#include "accounting/event.h"

namespace moesaic::accounting {

/// Coefficients of the square root of the matrix of prefix sums, cut off after `bands` >= 1 of
/// them: 1, 1/2, 3/8 ... (Choquette-Choo et al., arXiv 2306.08153). Noise of a banded mechanism is
/// the solution y of C y = z, C the Toeplitz matrix of these, z independent.
std::vector<double> banded_coefficients(int bands);

/// Squared sensitivity of the banded mechanism when a unit takes part `participations` times, at
/// least `bands` steps apart: its columns do not overlap.
double banded_sensitivity_squared(int bands, int participations);

/// One round of participations (as many steps as lie at least between two of one unit): a release
/// without sampling. k rounds are k such events, together exactly the mechanism.
Event banded_event(double noise_multiplier, int bands);

/// Adaptive clipping (Andrew et al., arXiv 1905.03871, theorem 1): the noise multiplier of the
/// gradients, if they and a count with noise of standard deviation `count_noise` (each unit counts
/// as 1/2 or -1/2) shall cost together what `noise_multiplier` does. Throws Error(kRecipe) unless
/// count_noise > noise_multiplier / 2.
double gradient_noise_multiplier(double noise_multiplier, double count_noise);

}  // namespace moesaic::accounting
