// Privacy in the parts of a run: clipping, noise, ledger, and what may be shown.
#pragma once

#include "config/recipe.h"
#include "data/unit_stream.h"
#include "engine/parts.h"

namespace moesaic {

/// Nothing without the block privacy. After the model, its data and the sink, before any transform.
/// `units`: its training data, which parts.train owns. Collective over world.
void add_privacy(const Recipe& recipe, const RankContext& context, UnitStream* units,
                 TrainingParts& parts);

}  // namespace moesaic
