// Model: what the training loop and the losses know of a model.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/forward_context.h"
#include "nn/linear.h"

namespace moesaic {

/// What a router leaves behind for the losses and the statistics. T tokens, E experts, K chosen.
struct RouterRecord {
  at::Tensor logits_TE;         // float32 (float64 in float64 runs), in the graph
  at::Tensor probabilities_TE;  // softmax of the logits, in the graph
  at::Tensor selected_TK;       // int64; -1 where a token chose fewer than K
  at::Tensor count_E;           // int64, choices of this micro-batch per expert
  at::Tensor dropped;           // int64 scalar, choices without room at their expert; undefined = 0
  std::int64_t num_experts = 0;  // that compute something: the first ones of E
  /// default_moe: [e, D + 1] in the master dtype: over the rows of each expert of this rank the sum
  /// of what it puts out, its weight left out, and the number of rows.
  at::Tensor output_sum = {};
  at::Tensor weight_TK = {};     // outside training: what each choice weighs, master dtype
  std::int64_t expert_rows = 0;  // that the experts of this rank computed, those that pad, too
};

struct ModelOutput {
  at::Tensor hidden_TD;               // what the head reads, compute dtype
  std::vector<RouterRecord> routers;  // one a MoE layer
  /// Training, or where the context asks for it: as hidden_TD, of each layer for multi-token
  /// prediction; the head makes of row t what comes 2, 3 ... tokens after t.
  std::vector<at::Tensor> ahead_TD = {};
};

class Model {
 public:
  virtual ~Model() = default;
  /// Collective over the expert group when the model has experts: also a rank with an empty batch
  /// calls it.
  virtual ModelOutput forward(const ForwardContext& context) const = 0;
  /// The output head [V, D].
  virtual const Linear& head() const = 0;
};

}  // namespace moesaic
