// The table of parameters as a recipe trains it.
#pragma once

#include "arch/parameter_table.h"
#include "config/recipe.h"

namespace moesaic {

/// arch's table, rewritten by what the block adapt freezes, adds and keeps in another storage:
/// factors of an adapter follow their weight. `plan` counts by it, and the model is made from it.
/// KeyError for patterns that match nothing and what else does not fit the model. Local, without
/// torch.
arch::ParameterTable training_table(const Recipe& recipe, const arch::Options& arch);

/// Whether a federation's rounds change this frozen weight: it has an adapter, and what the silos'
/// adapters make together goes into it (moves_base() in config/silos.h).
bool is_moved_base(const Recipe& recipe, const arch::ParameterInfo& info);

/// Whether a checkpoint of the run holds the parameter: all of them, but of a run with adapt.lora
/// only what is trained, the adapters, and what is_moved_base().
bool is_saved(const Recipe& recipe, const arch::ParameterInfo& info);

}  // namespace moesaic
