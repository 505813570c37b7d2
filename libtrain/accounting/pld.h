// The numerical accountant: privacy loss distributions of Gaussian releases over Poisson samples,
// composed by Fourier transform, on finer and finer grids until the value stands. Every value is an
// upper bound, for units that are added and for units that are removed. Releases without sampling
// alone are computed exactly (accounting/gaussian.h).
#pragma once

#include "accounting/event.h"

namespace moesaic::accounting {

/// The least epsilon >= 0 at `delta`, 0 < delta < 1; infinite where there is none. One part in
/// 10,000 of delta is kept for what was cut off and rounded.
double pld_epsilon(const Events& events, double delta);

/// The least delta at `epsilon` >= 0.
double pld_delta(const Events& events, double epsilon);

}  // namespace moesaic::accounting
