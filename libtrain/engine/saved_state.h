// What checkpoints hold of a run's live state. Local, all of it.
#pragma once

#include "config/recipe.h"
#include "engine/parts.h"
#include "parallel/state_dict.h"

namespace moesaic {

/// Of the model: what config's is_saved() says.
StateDict saved_part(const Recipe& recipe, const ParameterSet& parameters);

/// What training alone needs: of the optimizer, the parts of the step, the transforms.
StateDict training_state(const TrainingParts& parts);
/// As above, without the optimizer's.
StateDict state_beside_optimizer(const TrainingParts& parts);

void append(const StateDict& more, StateDict& state);

/// Checkpoints are written from host memory: live tensors of the CPU are taken as they are.
StateDict on_host(StateDict state);
/// The way back, of a copy that on_host() made.
void copy_back(const StateDict& host, const StateDict& live);

}  // namespace moesaic
