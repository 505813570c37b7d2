// Clipping by the global norm.
#pragma once

#include "optim/gradient_transform.h"

namespace moesaic {

/// Norm over every element once: dense parameters locally, expert parameters summed over the expert
/// group, in float64. Collective over world; all ranks get the same bits.
double global_norm(const RankContext& context, const Gradients& gradients);

/// Multiplies by min(1, clip_norm / grad_norm); clip_norm 0 only measures. Reports grad_norm,
/// before clipping, and clip_factor. A norm that is not finite leaves the gradient alone.
/// Collective over world.
class ClipByGlobalNorm : public GradientTransform {
 public:
  explicit ClipByGlobalNorm(double clip_norm) : clip_norm_(clip_norm) {}
  std::string name() const override;
  void apply(const RankContext& context, const Step& step, Gradients& gradients,
             MetricsRow& report) override;

 private:
  double clip_norm_;
};

}  // namespace moesaic
