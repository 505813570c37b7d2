// What may change between the run that saved a checkpoint and the one that goes on from it.
#pragma once

#include <string>

#include "config/recipe.h"

namespace moesaic {

/// Error(kRecipe), naming every key, when one differs that a resumed run must keep: all but the
/// layout, run_dir, max_steps, checkpoint_activations, data.cache, moe.placement,
/// moe.diagnose_every and the blocks log, eval and checkpoint.
void check_resumable(const Recipe& saved, const Recipe& current, const std::string& checkpoint);

}  // namespace moesaic
