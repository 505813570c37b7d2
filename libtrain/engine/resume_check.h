// What may change between the run that saved a checkpoint and the one that goes on from it.
#pragma once

#include <string>

#include "config/recipe.h"
#include "core/json.h"

namespace moesaic {

/// Error(kRecipe), naming every key, when one differs that a resumed run must keep: all but the
/// layout, run_dir, max_steps, epochs, what may_change_on_the_way() of a federation,
/// checkpoint_activations, on_nonfinite, restarts, restart_window_s, data.cache, moe.placement,
/// moe.diagnose_every and the blocks log, eval and checkpoint.
void check_resumable(const Recipe& saved, const Recipe& current, const std::string& checkpoint);

/// How the data differ from those of the run that saved, a line for each source, with the files of
/// it that have changed; "" when they do not. Both are descriptions of BuiltCorpora; checkpoints of
/// former versions have none, and nothing is known then.
std::string changed_data(const Json& saved, const Json& current);

}  // namespace moesaic
