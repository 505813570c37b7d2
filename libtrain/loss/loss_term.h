// LossTerm: a part of the loss that needs the graph, evaluated once per micro-batch. Terms are
// additive over the micro-batches and ranks of a step, so that no layout changes the mathematics.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/step_data.h"
#include "nn/forward_context.h"

namespace moesaic {

/// What a router leaves behind for the losses and the statistics. T tokens, E experts, K chosen.
struct RouterRecord {
  at::Tensor logits_TE;          // float32 (float64 in float64 runs), in the graph
  at::Tensor probabilities_TE;   // softmax of the logits, in the graph
  at::Tensor selected_TK;        // int64; -1 where a token chose fewer than K
  at::Tensor count_E;            // int64, choices of this micro-batch per expert
  std::int64_t dropped = 0;      // choices that found no room at their expert
  std::int64_t num_experts = 0;  // that compute something: the first ones of E
  /// default_moe: [e, D + 1] in the master dtype: over the rows of each expert of this rank the sum
  /// of what it puts out, its weight left out, and the number of rows.
  at::Tensor output_sum = {};
};

/// All that a term may look at.
struct StepView {
  const ForwardContext& context;
  at::Tensor hidden_TD;                      // after the final norm, in the graph
  const Parameter& head;                     // output head [V, D]
  const std::vector<RouterRecord>& routers;  // one a MoE layer
  StepSize step;
  /// Hidden states that predict one token further ahead each (multi-token prediction) by the same
  /// head, whose use the sink expects once for each of them.
  std::vector<at::Tensor> ahead_TD = {};
  at::Tensor earlier_count_LE = {};  // choices per layer and expert of this rank's earlier rounds
                                     // in this step; undefined in the first
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
  /// Accepts micro-batches without tokens. Local unless the term says otherwise.
  virtual TermValue evaluate(const StepView& view) const = 0;
};

}  // namespace moesaic
