// The recipes that come with Moesaic: installed in share/moesaic/recipes, or recipes/ of the source
// tree.
#pragma once

#include <string>
#include <vector>

namespace moesaic::cli {

/// Their folder: $MOESAIC_RECIPES, else beside this program. Throws Error(kUsage) when there is
/// none.
std::string recipe_folder();

/// Names, as "smoke/quickstart", sorted.
std::vector<std::string> shipped_recipes();

/// Path of a shipped recipe, with or without ".yaml"; "" when there is none of that name.
std::string shipped_recipe(const std::string& name);

/// Path of the shipped table of devices, data/devices.yaml beside that folder. Throws Error(kUsage)
/// when there is none.
std::string shipped_devices();

}  // namespace moesaic::cli
