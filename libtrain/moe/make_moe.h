// From a recipe to what its run brings to the layers with experts, and the parts of its steps that
// go with them.
#pragma once

#include "config/recipe.h"
#include "loss/step_part.h"
#include "moe/training.h"
#include "parallel/parameter_set.h"

namespace moesaic {

struct MoeRun {
  MoeTraining training;
  StepParts parts;
};

/// Nothing for a model without experts. Local.
MoeRun make_moe(const Recipe& recipe, const arch::Options& arch, const ParameterSet& parameters,
                const RankContext& context);

}  // namespace moesaic
