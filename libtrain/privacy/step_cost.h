// What the steps of a private run cost, and the noise that they have for it.
#pragma once

#include <cstdint>
#include <vector>

#include "accounting/event.h"
#include "config/recipe.h"
#include "data/unit_draws.h"

namespace moesaic {

/// Whether there are noise and a bound, so that there is something to charge.
bool is_private(const PrivacyOptions& privacy);

struct StepCost {
  double noise_multiplier = 0;  // of a step's noise over clip_norm
  accounting::Event charge;
  /// Steps that one charge pays for: 1, or with banded_matrix those of a round, in which each unit
  /// takes part once.
  std::int64_t steps = 1;
};

/// Steps in a row of one data set: of a run, or of one of its tasks.
struct DrawnSteps {
  UnitDraws::Options draws;
  std::int64_t steps = 0;
};

/// Of a recipe that is private, whose units are drawn so, for each of the parts of the run: all
/// have the same noise, and each step costs what its largest rate costs. With target_epsilon the
/// noise for which all of it costs that much. Error(kRecipe) where no noise does. May take a
/// second.
std::vector<StepCost> step_costs(const PrivacyOptions& privacy,
                                 const std::vector<DrawnSteps>& parts);
/// Of a run of one part.
StepCost step_cost(const PrivacyOptions& privacy, const UnitDraws::Options& draws,
                   std::int64_t max_steps);

}  // namespace moesaic
