// The text and the JSON of `moesaic plan`; `train --dry-run` begins with the same.
#pragma once

#include "config/recipe.h"
#include "core/json.h"

namespace moesaic::cli {

/// A table on stdout. The recipe was loaded without errors.
void print_plan(const Recipe& recipe);

Json plan_json(const Recipe& recipe);

}  // namespace moesaic::cli
