// Recipe -> parts: the only place that knows all of them.
#pragma once

#include <string>

#include "config/recipe.h"
#include "engine/parts.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Collective over world: prepares the data (the chief builds token files that are not cached yet),
/// makes the model and all that trains it.
TrainingParts assemble(const Recipe& recipe, const arch::Options& arch, const RankContext& context);

/// The model alone, with what its checkpoints say of tokenizer and origin: no data, nothing that
/// trains. Collective over world.
TrainingParts assemble_model(const Recipe& recipe, const arch::Options& arch,
                             const RankContext& context);

}  // namespace moesaic
