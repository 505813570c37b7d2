// Evaluator: the loss over all validation data.
#pragma once

#include "engine/parts.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Cross entropy in nats, mean over all target tokens of `parts.valid`. Collective over world.
double validation_loss(const RankContext& context, TrainingParts& parts);

}  // namespace moesaic
