// From a recipe file and the overrides of a command line to a checked Recipe, and back to YAML.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "config/problem.h"
#include "config/recipe.h"

namespace moesaic {

/// Where each key that was given stands; sections, keys under model.config and entries of lists
/// ("data.train[0].path") too, "" = the whole.
using Places = std::map<std::string, Place>;

struct LoadedRecipe {
  Recipe recipe;  // paths absolute, run_dir set; a key with a mistake keeps its default
  std::vector<Problem> problems;
  Places places;

  bool has_errors() const;
  /// "file:line:col", "command line" or "default".
  std::string provenance(const std::string& key) const;
};

/// Reads, merges `extends` and `overrides` ("a.b=value", the value is YAML), and checks everything
/// that needs no job. `ranks` = the size of the job where it is known; it takes the place of
/// parallel.ranks. Throws Error(kRecipe) only when the file itself cannot be read.
LoadedRecipe load_recipe(const std::string& path, const std::vector<std::string>& overrides = {},
                         std::optional<std::int64_t> ranks = std::nullopt);

/// As load_recipe, but throws Error(kRecipe) with every mistake, one a line. Warnings go to
/// `warnings`.
Recipe require_recipe(const std::string& path, const std::vector<std::string>& overrides = {},
                      std::optional<std::int64_t> ranks = std::nullopt,
                      std::vector<Problem>* warnings = nullptr);

/// The same from the text of a saved recipe, named `where` in messages. Looks at no weights: the
/// recipe may outlive those that it started from.
Recipe recipe_from_yaml(const std::string& text, const std::string& where,
                        std::optional<std::int64_t> ranks = std::nullopt);

/// The complete recipe, every key with its value: the run folder's recipe.yaml, which reads back as
/// the same.
std::string to_yaml(const Recipe& recipe);

/// The architecture of a recipe that was loaded without errors.
arch::Options architecture_of(const Recipe& recipe);

}  // namespace moesaic
