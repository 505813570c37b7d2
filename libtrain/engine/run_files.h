// The files that a run writes into its folder: they alone may be removed when it starts again.
#pragma once

#include <string>
#include <vector>

#include "config/recipe.h"

namespace moesaic {

/// Paths inside the folder.
std::string logs_folder(const std::string& run_dir);
std::string log_file(const std::string& run_dir, int rank);
std::string error_file(const std::string& run_dir, int rank);
std::string recipe_file(const std::string& run_dir);

/// The complete recipe, under a first line that says who wrote it, to recipe_file(recipe.run_dir).
void write_run_recipe(const Recipe& recipe);

/// Whether a run wrote the recipe that is in the folder. Of former versions, which wrote no such
/// first line, it is known by being complete; where keys have changed since, by having no comment
/// and all sections that recipes have always had, beside metrics, a log and a whole checkpoint in a
/// folder with no file that no run writes.
bool holds_run(const std::string& run_dir);

/// What runs have written in the folder, sorted; not the recipe, and not the token cache.
std::vector<std::string> files_of_run(const std::string& run_dir);

/// The files that a recipe in the file `recipe_path` reads: itself, data, tokenizer, and the
/// description of the weights that it starts from. What is not there is left out.
std::vector<std::string> inputs_of(const Recipe& recipe, const std::string& recipe_path);

}  // namespace moesaic
