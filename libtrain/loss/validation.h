// Validation: what a model makes of all validation data.
#pragma once

#include <optional>

#include "data/eval_data.h"
#include "loss/model.h"
#include "parallel/rank_context.h"

namespace moesaic {

struct Validation {
  double loss = 0;                 // cross entropy in nats, mean over all targets
  std::optional<double> accuracy;  // share of the labels that are found; data with labels alone
};

/// Collective over world.
Validation validation_of(const RankContext& context, const Model& model, Computation& computation,
                         const EvalData& data);

}  // namespace moesaic
