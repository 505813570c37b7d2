// A silo's own recipe in a federation across sites: its name, its data and how it runs. All else,
// model, training and rules, comes from the coordinator, as far as the silo allows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/recipe.h"

namespace moesaic {

struct SiteRecipe {
  struct Data {
    std::vector<SourceOptions> train, valid;
  };
  struct Privacy {
    std::string ledger;                          // default <run_dir>/ledger.json
    std::optional<PrivacyBudgetOptions> budget;  // absent: the coordinator's
  };

  std::string name;
  Data data;
  ParallelOptions parallel;
  Privacy privacy;
};

/// Reads the file with the overrides "a.b=value" of the command line. Error(kRecipe) with every
/// mistake, one a line; every key that is not one of a silo is one.
SiteRecipe require_site_recipe(const std::string& path,
                               const std::vector<std::string>& overrides = {},
                               std::optional<std::int64_t> ranks = std::nullopt);
std::string to_yaml(const SiteRecipe& site);

/// What the coordinator tells its silos: its recipe without their data and its own folder.
Recipe offered_recipe(const Recipe& recipe);

/// The recipe of one silo's job in `run_dir`: `offered` with the silo's data, layout and ledger.
/// Error(kRecipe) where the silo has a budget and `offered` no privacy that would be charged to it.
Recipe recipe_of_site(const Recipe& offered, const SiteRecipe& site, const std::string& run_dir);

}  // namespace moesaic
