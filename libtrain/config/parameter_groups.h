// optimizer.groups: parameters that are trained at another learning rate, or decay otherwise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "arch/parameter_table.h"
#include "config/recipe.h"

namespace moesaic {

/// What is wrong with the pattern of a group: it is no regular expression, or no name of the table
/// matches it. nullopt: it is right.
std::optional<std::string> problem_of(const ParameterGroupOptions& group,
                                      const arch::ParameterTable& table);

/// Gives each parameter what the first group that matches its name says. Error(kRecipe) for a group
/// with a problem.
void apply_groups(const std::vector<ParameterGroupOptions>& groups, arch::ParameterTable& table);

}  // namespace moesaic
