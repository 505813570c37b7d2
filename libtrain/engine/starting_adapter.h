// The values that a run's adapters go on from: adapt.from.
#pragma once

#include "config/recipe.h"
#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Fills the adapters of the run, and what is trained in full beside them, from the PEFT folder or
/// the run at adapt.from; nothing without that key. `base` says, as a manifest does, what the
/// weights in `parameters` are of: a run must have the same. Collective over world.
/// Error(kCheckpoint) on all ranks, naming file and tensors, when it does not hold what the recipe
/// trains; Error(kRecipe) when its scales are others; Error(kData) when its base is.
void load_starting_adapter(const Recipe& recipe, const arch::Options& arch, const Json& base,
                           const ParameterSet& parameters, const RankContext& context);

}  // namespace moesaic
