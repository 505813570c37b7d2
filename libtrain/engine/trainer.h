// Trainer: one optimizer step, the same for every mode and layout.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/parts.h"
#include "moe/gate_probe.h"
#include "moe/routing_stats.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// What a step did, equal on all ranks.
struct StepReport {
  std::int64_t step = 0;           // finished optimizer steps, from 1
  std::int64_t target_tokens = 0;  // of this step
  double learning_rate = 0;
  std::vector<std::pair<std::string, double>> losses;  // "loss", "loss_balance" ..., unweighted
  double loss_total = 0;                               // what was minimised
  GradientReport gradient;
  RoutingStats routing;                // of the whole step when asked for
  std::vector<double> gate_grad_norm;  // of each router's task gradient, when asked for
  std::vector<double> gate_cosine;     // of it and the dense gradient, when asked for
  bool stop = false;                   // some rank was asked to stop
};

class Trainer {
 public:
  struct Request {
    bool stop = false;  // this rank was asked to save and stop
    // Equal on all ranks:
    bool routing = false;   // the routing statistics and the norms of the routers' task gradients
    bool diagnose = false;  // run every expert, to compare those with the dense gradients
  };

  Trainer(const RankContext& context, TrainingParts& parts) : context_(context), parts_(parts) {}

  /// Step number `step`, from 1. Collective over world. Error(kRecipe) on all ranks, before the
  /// optimizer, when the loss or the gradient norm is not finite; on all ranks, too, what a save in
  /// the background has failed with.
  StepReport step(std::int64_t step, const Request& request);

 private:
  StepSize size_of(std::int64_t step_index) const;
  /// Empty where the step has no micro-batch of that index.
  Batch micro_batch(std::int64_t step_index, std::int64_t index) const;
  /// A look at the routers' gradients, where it is asked for and there are routers.
  std::optional<GateProbe> make_probe(const Request& request) const;
  void round(const Batch& batch, const StepSize& size, StepReport& report, RouterProbe* probe);
  at::Tensor loss(const ForwardContext& context, const StepSize& size, StepReport& report);
  void reduce(const Request& request, StepReport& report) const;
  Gradients gradients() const;
  /// What the routers change by rule.
  void feed_back(const StepReport& report) const;

  const RankContext& context_;
  TrainingParts& parts_;
};

}  // namespace moesaic
