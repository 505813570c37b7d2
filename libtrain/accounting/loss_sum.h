// The sum of many privacy losses, by Fourier transform.
#pragma once

#include <cstdint>
#include <vector>

#include "accounting/loss_distribution.h"

namespace moesaic::accounting {

/// Losses that are added up: `steps` times each.
struct LossTerm {
  LossDistribution loss;
  std::int64_t steps = 1;
};
using LossTerms = std::vector<LossTerm>;

/// Where the sum is looked at. Probabilities are weighed by e^(theta loss) before they are added
/// up, so that the losses near the epsilon in question are the likely ones, and rounding errors are
/// small beside any delta; `up` and `down` give the bounds of Chernoff on how far the weighed sum
/// reaches.
struct LossFocus {
  double theta = 1;
  double up = 1;
  double down = 1;
};

/// The focus that suits the epsilon at `delta`, the delta at `epsilon`.
LossFocus focus_on_delta(const LossTerms& terms, double delta);
LossFocus focus_on_epsilon(const LossTerms& terms, double epsilon);

/// The terms are on the same grid. All of delta and epsilon are upper bounds.
class LossSum {
 public:
  LossSum(const LossTerms& terms, const LossFocus& focus);

  double epsilon(double delta) const;  // infinite where no epsilon has that delta
  double delta(double epsilon) const;

  /// Points of the transform that the focus asks for.
  static double points(const LossTerms& terms, const LossFocus& focus);

 private:
  struct Above;  // what lies above a point of the grid

  double loss(std::int64_t i) const { return static_cast<double>(first_ + i) * interval_; }
  double log_weight(double loss) const { return log_moment_ - theta_ * loss; }
  void add_point(Above& above, std::int64_t i) const;

  double interval_;
  double theta_;
  double log_moment_ = 0;
  double infinite_ = 0;
  std::int64_t first_ = 0;
  std::vector<double> weighed_;  // probability of loss(i), weighed
};

}  // namespace moesaic::accounting
