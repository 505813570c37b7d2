// How adapters begin where that takes the weights beside them.
#pragma once

#include "config/recipe.h"
#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// To be called once the weights are there, and what the adapters go on from (adapt.from).
/// PiSSA: what the factors begin with is taken out of the weights. DoRA: the magnitudes become the
/// lengths of the rows, so that a run begins as the model was. Collective over world.
void begin_adapters(const Recipe& recipe, const arch::Options& arch, const ParameterSet& parameters,
                    const RankContext& context);

}  // namespace moesaic
