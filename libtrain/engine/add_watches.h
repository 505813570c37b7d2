// What a run looks for while it trains: ranks that are slow, replicas that differ.
#pragma once

#include "config/recipe.h"
#include "engine/parts.h"

namespace moesaic {

/// Nothing where there is one rank. After the optimizer was made, and after the other parts of the
/// step, whose time is not looked at. Local.
void add_watches(const Recipe& recipe, const RankContext& context, TrainingParts& parts);

}  // namespace moesaic
