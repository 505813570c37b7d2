// Penalty: the pull of the weights to what they were when something was learned, by how much each
// mattered for it: loss + lambda / 2 x the sum of F (w - anchor)^2 (Kirkpatrick et al. 2017, arXiv
// 1612.00796, equation 3). A transform of the summed gradient, before clipping.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "continual/remembered.h"
#include "optim/global_sum.h"
#include "optim/gradient_transform.h"

namespace moesaic {

class Penalty : public GradientTransform {
 public:
  struct Options {
    std::string method;  // ewc: the metric is loss_ewc
    double lambda = 0;
    std::optional<double> router_lambda = {};  // of the routers; nullopt = the same
  };

  /// `remembered` must outlive it.
  Penalty(Remembered& remembered, Options options)
      : remembered_(remembered), options_(std::move(options)) {}

  std::string name() const override;
  /// Collective over world. The gradient of a change of a weight goes to the factors that make it.
  /// A penalty above 1e8 is reported as infinite, so that the step is stopped.
  void apply(const RankContext& context, const Step& step, Gradients& gradients,
             MetricsRow& report) override;
  double loss() const override { return loss_; }
  /// Whether lambda is so large that a step overshoots. Collective over world.
  std::string suspicion(const RankContext& context, const Step& step) const override;
  StateDict state() const override { return remembered_.state(); }

  double lambda_of(const Parameter& parameter) const;

 private:
  /// -> this rank's share of the loss.
  PartialSums pull_weights(Gradients& gradients) const;
  PartialSums pull_changes(const RankContext& context, Gradients& gradients) const;

  Remembered& remembered_;
  Options options_;
  double loss_ = 0;
};

}  // namespace moesaic
