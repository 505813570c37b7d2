#include "privacy/step_cost.h"

#include <cmath>

#include "accounting/accountant.h"
#include "accounting/mechanisms.h"
#include "accounting/slots.h"
#include "core/error.h"

namespace moesaic {
namespace {

// Of `charges` that all together cost target_epsilon.
double noise_for_target(const PrivacyOptions& privacy, accounting::Event charge,
                        std::int64_t charges) {
  charge.steps = charges;
  try {
    return accounting::noise_multiplier_for(charge, *privacy.target_epsilon, privacy.delta,
                                            accounting::accountant_of(privacy.accountant));
  } catch (const Error& error) {
    throw Error(ErrorKind::kRecipe,
                format("privacy.target_epsilon {}: {}", *privacy.target_epsilon, error.what()),
                error.hint());
  }
}

}  // namespace

bool is_private(const PrivacyOptions& privacy) {
  const bool noisy = privacy.target_epsilon || privacy.noise_multiplier.value_or(0) > 0;
  return noisy && privacy.clip_norm > 0;
}

// A round of a banded mechanism is one release of all units, to which the noise of several steps is
// one vector: its sensitivity is the length of a column of the matrix.
StepCost step_cost(const PrivacyOptions& privacy, const UnitDraws::Options& draws,
                   std::int64_t max_steps) {
  const bool banded = privacy.mechanism == "banded_matrix";
  StepCost cost;
  if (banded) cost.steps = draws.turns;
  cost.charge.sampling_rate = banded ? 1.0 : draws.rate;
  cost.charge.overflow = accounting::overflow_probability(draws.units, draws.rate, draws.slots);
  const int bands = static_cast<int>(privacy.bands);
  const double column = banded ? std::sqrt(accounting::banded_sensitivity_squared(bands, 1)) : 1.0;
  const std::int64_t charges = (max_steps + cost.steps - 1) / cost.steps;
  cost.charge.noise_multiplier = privacy.target_epsilon
                                     ? noise_for_target(privacy, cost.charge, charges)
                                     : *privacy.noise_multiplier / column;
  cost.noise_multiplier = cost.charge.noise_multiplier * column;
  return cost;
}

}  // namespace moesaic
