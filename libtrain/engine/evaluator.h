// Evaluator: the loss over all validation data.
#pragma once

#include "data/eval_batches.h"
#include "loss/model.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Cross entropy in nats, mean over all target tokens of `data`. Collective over world.
double validation_loss(const RankContext& context, const Model& model, Computation& computation,
                       const EvalBatches& data);

}  // namespace moesaic
