// ControlVariates: what a silo's gradient is corrected by where silos differ (SCAFFOLD, Karimireddy
// et al. 2020, arXiv 1910.06378, algorithm 1, option II): c - c_i is added to each gradient, where
// c_i is the mean gradient of this silo's last round and c the mean of all silos' c_i. A transform
// of the summed gradient, before clipping.
#pragma once

#include <string>
#include <vector>

#include "aggregate/aggregator.h"
#include "federated/round_model.h"
#include "optim/gradient_transform.h"

namespace moesaic {

class ControlVariates : public GradientTransform {
 public:
  /// Error(kRecipe) where a parameter has a learning rate of its own: option II takes one for all.
  /// `parameters` must outlive it, and `model` have been taken of such. Local.
  ControlVariates(const ParameterSet& parameters, const RoundModel& model);

  std::string name() const override { return "scaffold"; }
  /// Local.
  void apply(const RankContext& context, const Step& step, Gradients& gradients,
             MetricsRow& report) override;
  /// c_i, under "control/<parameter>".
  StateDict state() const override;

  /// c of the server as the aggregator keeps it, of experts whole or each by its own name; before
  /// the first round there is none, which is 0.
  void begin_round(const aggregate::ServerState& server);
  /// c_i becomes the mean gradient of the round: `change` is that of RoundModel, `rate_sum` the sum
  /// of the learning rates of its steps. Nothing where that is 0.
  void end_round(const std::vector<at::Tensor>& change, double rate_sum);

 private:
  struct Of {
    const Parameter* parameter = nullptr;
    at::Tensor server, silo;  // this rank's rows, float64
  };
  std::vector<Of> of_;                 // by place in model.shared()
  std::vector<std::size_t> place_of_;  // by index in the ParameterSet, + 1; 0 = none
};

}  // namespace moesaic
