// What a training needs more of than there seems to be: told before it starts, and never refused,
// for both sides are estimates.
#pragma once

#include "config/recipe.h"
#include "machine.h"

namespace moesaic::cli {

/// To stderr, a warning each: memory of the ranks on this machine (moesaic plan) against what is
/// available, the disk space of the checkpoints that are kept against what is free where the run
/// folder is.
void warn_of_limits(const Recipe& recipe, const Machine& machine);

/// Bytes that the largest number of checkpoints that are there at once take, about: those that are
/// kept, and the one that is being written.
double checkpoints_bytes(const Recipe& recipe);

}  // namespace moesaic::cli
