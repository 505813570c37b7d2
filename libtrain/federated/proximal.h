// Proximal: the pull of a silo's weights to the round's model, loss + mu / 2 |w - w_round|^2
// (FedProx, Li et al. 2020, arXiv 1812.06127, equation 2). A transform of the summed gradient,
// before clipping.
#pragma once

#include <string>

#include "federated/round_model.h"
#include "optim/gradient_transform.h"

namespace moesaic {

class Proximal : public GradientTransform {
 public:
  /// `model` must outlive it.
  Proximal(const RoundModel& model, double mu) : model_(model), mu_(mu) {}

  std::string name() const override;
  /// Local.
  void apply(const RankContext& context, const Step& step, Gradients& gradients,
             MetricsRow& report) override;

 private:
  const RoundModel& model_;
  double mu_;
};

}  // namespace moesaic
