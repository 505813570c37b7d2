// LossTerm: a part of the loss that needs the graph, evaluated once per micro-batch. Terms are
// additive over the micro-batches and ranks of a step, so that no layout changes the mathematics.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "config/recipe.h"
#include "data/step_data.h"
#include "loss/model.h"

namespace moesaic {

/// All that a term may look at.
struct StepView {
  const ForwardContext& context;
  const ModelOutput& output;
  const Linear& head;
  StepSize step;
};

struct TermValue {
  at::Tensor loss;  // scalar in the graph: this micro-batch's share of the step's loss, coefficient
                    // included. It is added to the others and differentiated as it is: a term may
                    // count on an output gradient of 1.
  double metric = 0;  // this micro-batch's share of the logged value, without the coefficient
};

class LossTerm {
 public:
  virtual ~LossTerm() = default;
  /// Name of the metric: "loss", "loss_balance", "loss_router_z".
  virtual const char* name() const = 0;
  /// Before the first micro-batch of a step.
  virtual void begin_step() {}
  /// Accepts micro-batches without tokens. Local unless the term says otherwise.
  virtual TermValue evaluate(const StepView& view) = 0;
};

using LossTerms = std::vector<std::unique_ptr<LossTerm>>;

/// The terms of a recipe for an architecture; the first is the cross entropy.
LossTerms make_losses(const Recipe& recipe, const arch::Options& arch);

}  // namespace moesaic
