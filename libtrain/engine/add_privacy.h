// Privacy in the parts of a run: clipping, noise, ledger, and what may be shown.
#pragma once

#include "config/recipe.h"
#include "engine/open_data.h"
#include "engine/parts.h"

namespace moesaic {

/// Nothing without the block privacy. After the model, its data and the sink, before any transform.
/// `data`: what parts.train was made of, and owns. Collective over world.
void add_privacy(const Recipe& recipe, const RankContext& context, const RunData& data,
                 TrainingParts& parts);

}  // namespace moesaic
