// Feedback: what the routers of a step change for the next one, by a rule and not by a gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "loss/loss_term.h"
#include "parallel/rank_context.h"
#include "parallel/state_dict.h"

namespace moesaic {

class RouterFeedback {
 public:
  virtual ~RouterFeedback() = default;
  /// The records of one micro-batch. Local.
  virtual void add(const std::vector<RouterRecord>& /*records*/) {}
  /// Once, after the optimizer: `count_LE` int64 holds how often each expert was chosen in the
  /// whole step. Collective over world.
  virtual void apply(const RankContext& context, const at::Tensor& count_LE) = 0;
  /// For state.h5, the same on all ranks.
  virtual StateDict state() const { return {}; }
};

/// Balance without a loss (Wang et al. 2024, arXiv 2408.15664, algorithm 1): the correction bias of
/// an expert that was chosen less often than the mean grows by `update_speed`, that of one chosen
/// more often shrinks.
class BiasBalance : public RouterFeedback {
 public:
  /// `biases`: [E] of each layer with experts, changed in place.
  BiasBalance(std::vector<at::Tensor> biases, double update_speed)
      : biases_(std::move(biases)), update_speed_(update_speed) {}
  void apply(const RankContext& context, const at::Tensor& count_LE) override;

 private:
  std::vector<at::Tensor> biases_;
  double update_speed_;
};

/// The outputs of each expert, averaged: a <- decay a + (1 - decay) mean over the tokens of the
/// step. An expert without tokens keeps its average (Panda et al. 2025, arXiv 2504.12463, eq. 8).
class ExpertAverages : public RouterFeedback {
 public:
  /// average_LED is changed in place; `slot_LE` as in moe/placement.h.
  ExpertAverages(const at::Tensor& average_LED, const at::Tensor& slot_LE, double decay)
      : average_LED_(average_LED), slot_LE_(slot_LE), decay_(decay) {}
  void add(const std::vector<RouterRecord>& records) override;
  void apply(const RankContext& context, const at::Tensor& count_LE) override;
  StateDict state() const override;

 private:
  at::Tensor average_LED_;
  at::Tensor slot_LE_;
  std::vector<at::Tensor> sums_;  // of each layer, this rank's experts: RouterRecord::output_sum
  double decay_;
};

}  // namespace moesaic
