// The privacy loss L = ln(P(x) / Q(x)), x drawn from P, of one step, on a grid: P and Q are what
// the step may release on neighbours.
#pragma once

#include <cstdint>
#include <vector>

#include "accounting/event.h"

namespace moesaic::accounting {

/// Probabilities of the losses (first + i) x interval, and of a loss without bound.
struct LossDistribution {
  double interval = 0;
  std::int64_t first = 0;
  std::vector<double> mass;
  double infinite = 0;

  double loss(std::size_t i) const {
    return static_cast<double>(first + static_cast<std::int64_t>(i)) * interval;
  }
};

/// For a unit that is removed (P has it) and one that is added (Q has it).
struct LossPair {
  LossDistribution remove;
  LossDistribution add;
};

/// Of one step of the event, "connecting the dots" (Doroshenko et al., arXiv 2207.04380): the
/// probability of a cell of the grid goes to its two ends such that both P and Q keep it, so
/// delta(epsilon) is right at the points of the grid and too large between them: never too small,
/// also in compositions. Noise farther out than a probability of `tail` counts as a loss without
/// bound; so does `overflow`.
LossPair loss_distributions(const Event& event, double interval, double tail);

/// About the number of points that the grid would have.
double grid_points(const Event& event, double interval, double tail);

/// ln sum of mass x e^(theta loss), without the infinite part.
double log_moment(const LossDistribution& distribution, double theta);

}  // namespace moesaic::accounting
