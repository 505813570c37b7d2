// The table of parameters as a recipe trains it.
#pragma once

#include "arch/parameter_table.h"
#include "config/recipe.h"

namespace moesaic {

/// arch's table, rewritten by what the recipe adds or freezes. `plan` counts by it, and the model
/// is made from it. Local, without torch.
arch::ParameterTable training_table(const Recipe& recipe, const arch::Options& arch);

}  // namespace moesaic
