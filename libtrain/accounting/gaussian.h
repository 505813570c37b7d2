// The Gaussian mechanism without sampling, exactly (Balle and Wang, arXiv 1805.06530, theorem 8).
#pragma once

#include "accounting/event.h"

namespace moesaic::accounting {

/// delta at epsilon >= 0 of a release whose neighbours lie `mu` standard deviations apart; `mu` >
/// 0.
double gaussian_delta(double mu, double epsilon);

/// The smallest epsilon >= 0 with gaussian_delta(mu, epsilon) <= delta; 0 < delta < 1. Rounded up.
double gaussian_epsilon(double mu, double delta);

/// sqrt(sum of steps / noise_multiplier^2): several releases are as one of this mu.
double gaussian_mu(const Events& events);

/// The mu that sampled releases come near to when there are many of them (Bu et al., arXiv
/// 1911.11607, with Poisson sampling). An approximation, NOT a bound: true epsilons may be larger
/// by half.
double approximate_mu(const Events& events);

}  // namespace moesaic::accounting
