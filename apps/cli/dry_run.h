// What `moesaic train --dry-run` shows: costs, groups of ranks and the command, without MPI.
#pragma once

#include "config/recipe.h"
#include "launch_command.h"

namespace moesaic::cli {

void print_dry_run(const Recipe& recipe, const Launch& launch, bool json);

}  // namespace moesaic::cli
