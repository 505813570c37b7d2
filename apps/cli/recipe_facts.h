// What the recipes in run folders say, also where another version wrote them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "observe/report_data.h"

namespace moesaic::cli {

/// How many steps, or rounds, a run of that recipe has; nothing where it does not say.
std::optional<std::int64_t> last_step_of(const std::string& recipe);

/// What the recipe in its folder says of a run.
void take_recipe_facts(RunView& run);

/// The keys whose values are not the same in all of them, in the order of the recipes.
std::vector<RecipeDifference> recipe_differences(const std::vector<std::string>& recipes);

}  // namespace moesaic::cli
