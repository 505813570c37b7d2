// GradientTransform: one step of the ordered chain over the finished gradient, between
// synchronisation and optimizer. The order is data, printed at start.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "observe/metrics.h"
#include "parallel/gradients.h"
#include "parallel/rank_context.h"
#include "parallel/state_dict.h"
#include "parallel/step.h"

namespace moesaic {

class GradientTransform {
 public:
  virtual ~GradientTransform() = default;
  virtual std::string name() const = 0;
  /// Changes the gradient in place: the entries or the scale. What it sets in `report` goes to the
  /// step's row of metrics, equal on all ranks; a value that is not finite stops the step before
  /// the optimizer. Collective over world where a transform says so.
  virtual void apply(const RankContext& context, const Step& step, Gradients& gradients,
                     MetricsRow& report) = 0;
  /// What the last apply() has added to what is minimised; equal on all ranks.
  virtual double loss() const { return 0; }
  /// A step was not finite: what of this transform may be the reason, to follow its numbers; "" =
  /// nothing. Collective over world where a transform says so.
  virtual std::string suspicion(const RankContext& /*context*/, const Step& /*step*/) const {
    return {};
  }
  /// The live state, for the checkpoint.
  virtual StateDict state() const { return {}; }
};

using TransformChain = std::vector<std::unique_ptr<GradientTransform>>;

}  // namespace moesaic
