// Continual learning in the parts of a run: penalties, distillation, what becomes of a task's end.
#pragma once

#include <memory>
#include <string>

#include "config/recipe.h"
#include "engine/parts.h"
#include "parallel/ownership.h"

namespace moesaic {

/// Nothing without the block continual. After the model, the losses and `optimizer`, before
/// clipping and the tasks. -> the optimizer as the run has it. `digest`: of the model at
/// model.from, "" where there is none; `ownership`: nullptr unless the optimizer is sharded.
/// Collective over world.
std::unique_ptr<Optimizer> add_continual(const Recipe& recipe, const arch::Options& arch,
                                         const RankContext& context, const std::string& digest,
                                         const Ownership* ownership,
                                         std::unique_ptr<Optimizer> optimizer,
                                         TrainingParts& parts);

}  // namespace moesaic
