// Renyi differential privacy of Gaussian releases over Poisson samples (Mironov, Talwar and Zhang,
// arXiv 1908.10530), at the orders that Opacus takes.
#pragma once

#include <vector>

#include "accounting/bound.h"
#include "accounting/event.h"

namespace moesaic::accounting {

/// 1.1 to 10.9 by 0.1, then 12 to 63.
const std::vector<double>& rdp_orders();

/// Renyi divergence of order `order` > 1 of one step of the event (its overflow is left to
/// the bounds below). Infinite where the series of a fractional order does not converge.
double rdp_of_step(const Event& event, double order);

/// The smallest epsilon at `delta` over the orders (Canonne, Kamath and Steinke, arXiv 2004.00010,
/// proposition 12); 0 < delta < 1.
Bound rdp_epsilon(const Events& events, double delta);

/// The smallest delta at `epsilon` >= 0, by the same conversion.
Bound rdp_delta(const Events& events, double epsilon);

}  // namespace moesaic::accounting
