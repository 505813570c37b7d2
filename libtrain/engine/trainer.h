// Trainer: one optimizer step, the same for every mode and layout.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/parts.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// What a step did, equal on all ranks.
struct StepReport {
  Step step;
  std::vector<std::pair<std::string, double>> losses;  // "loss", "loss_balance" ..., unweighted
  double loss_total = 0;                               // what was minimised
  MetricsRow transforms;   // what the gradient's transforms say: grad_norm, clip_factor
  bool skipped = false;    // not finite: no weight was changed
  bool rewind = false;     // and the run goes back to the last checkpoint
  std::string not_finite;  // " name = value" of each such value
  bool stop = false;       // some rank was asked to stop
};

class Trainer {
 public:
  struct Request {
    bool stop = false;  // this rank was asked to save and stop
    // Equal on all ranks:
    bool logged = false;     // the step's row of metrics is wanted
    bool diagnosed = false;  // see Step
  };

  Trainer(const RankContext& context, TrainingParts& parts) : context_(context), parts_(parts) {}

  /// Step number `number`, from 1. Collective over world. On all ranks: what the policy makes of a
  /// loss or gradient that is not finite, before the optimizer, and what a save in the background
  /// has failed with.
  StepReport step(std::int64_t number, const Request& request);

 private:
  Step begin(std::int64_t number, const Request& request);
  void compute_gradient(const Step& step, StepReport& report);
  /// Of one micro-batch; a rank without one takes part with an empty batch.
  void forward_and_backward(ForwardContext& context, StepReport& report);
  at::Tensor loss(const ForwardContext& context, StepReport& report);
  void sum_over_ranks(const Request& request, StepReport& report);
  Gradients transformed(StepReport& report);
  void update(const Step& step, const Gradients& gradients);
  Batch micro_batch(const Step& step, std::int64_t index) const;

  const RankContext& context_;
  TrainingParts& parts_;
};

}  // namespace moesaic
