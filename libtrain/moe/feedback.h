// Feedback: what the routers of a step change for the next one, by a rule and not by a gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "loss/step_part.h"
#include "moe/routing_stats.h"

namespace moesaic {

/// Balance without a loss (Wang et al. 2024, arXiv 2408.15664, algorithm 1): the correction bias of
/// an expert that was chosen less often than the mean grows by `update_speed`, that of one chosen
/// more often shrinks.
class BiasBalance : public StepPart {
 public:
  /// `routing`: that of the whole step, once it is over. `biases`: [E] of each layer with experts,
  /// changed in place.
  BiasBalance(const RoutingStats& routing, std::vector<at::Tensor> biases, double update_speed)
      : routing_(routing), biases_(std::move(biases)), update_speed_(update_speed) {}
  void after(const RankContext& context, const Step& step) override;

 private:
  const RoutingStats& routing_;
  std::vector<at::Tensor> biases_;
  double update_speed_;
};

/// The outputs of each expert, averaged: a <- decay a + (1 - decay) mean over the tokens of the
/// step. An expert without tokens keeps its average (Panda et al. 2025, arXiv 2504.12463, eq. 8).
class ExpertAverages : public StepPart {
 public:
  /// average_LED is changed in place; `slot_LE` as in moe/placement.h.
  ExpertAverages(const at::Tensor& average_LED, const at::Tensor& slot_LE, double decay)
      : average_LED_(average_LED), slot_LE_(slot_LE), decay_(decay) {}
  void after_forward(const ModelOutput& output) override;
  /// Collective over world.
  void after(const RankContext& context, const Step& step) override;
  StateDict state() const override;

 private:
  at::Tensor average_LED_;
  at::Tensor slot_LE_;
  std::vector<at::Tensor> sums_;  // of each layer, this rank's experts: RouterRecord::output_sum
  double decay_;
};

}  // namespace moesaic
