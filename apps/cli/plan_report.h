// The text and the JSON of `moesaic plan`; `train --dry-run` begins with the same.
#pragma once

#include <string>

#include "arch/cost.h"
#include "config/recipe.h"
#include "core/json.h"

namespace moesaic::cli {

/// A table on stdout. The recipe was loaded without errors.
void print_plan(const Recipe& recipe);

Json plan_json(const Recipe& recipe);

/// What a step of the recipe depends on beside its table; of a federation, of its largest silo.
arch::CostOptions sizes_of(const Recipe& recipe, const arch::Options& options);

/// 1234567 -> "1.235 M"
std::string scaled(double value);
/// 1234567 -> "1.235 MB"
std::string scaled_bytes(double bytes);

}  // namespace moesaic::cli
