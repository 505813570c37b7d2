// What the log says of a run before its first step.
#pragma once

#include <cstdint>

#include "config/recipe.h"
#include "engine/parts.h"

namespace moesaic {

/// Local; each rank to its own log.
void describe_run(const Recipe& recipe, const arch::Options& arch, const RankContext& context,
                  std::int64_t train_sequences, const TrainingParts& parts);

}  // namespace moesaic
