// What a silo accepts from the coordinator of a federation across sites (--allow FILE).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/recipe.h"

namespace moesaic {

/// Lists that are empty and values that are absent allow all.
struct SiteAllowance {
  std::optional<std::string> model;         // where the base weights are here
  std::optional<std::string> tokenizer;     // where it is here
  std::vector<std::string> model_types;     // of architectures
  std::vector<std::string> aggregators;     // types of rules
  std::optional<std::int64_t> rounds;       // at most
  std::optional<std::int64_t> local_steps;  // of a round, at most
  std::vector<std::string> parameters;      // regular expressions of whole names: these may leave
  bool privacy = false;                     // only training with record-level privacy
};

/// Reads such a file. Error(kRecipe) with every mistake, one a line.
SiteAllowance require_allowance(const std::string& path);

/// `offered` with base weights and tokenizer from where they are here. Error(kRecipe), naming what
/// was asked for and the limit, where the coordinator asks for more than is allowed.
Recipe allowed_recipe(const SiteAllowance& allowance, Recipe offered);

/// Error(kRecipe) naming the first parameter that may not leave.
void require_may_leave(const SiteAllowance& allowance, const std::vector<std::string>& names);

}  // namespace moesaic
