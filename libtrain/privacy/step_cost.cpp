#include "privacy/step_cost.h"

#include <cmath>

#include "accounting/accountant.h"
#include "accounting/mechanisms.h"
#include "accounting/slots.h"
#include "core/error.h"

namespace moesaic {
namespace {

// With which all the charges together cost target_epsilon.
double noise_for_target(const PrivacyOptions& privacy, const accounting::Events& charges) {
  try {
    return accounting::noise_multiplier_for_all(charges, *privacy.target_epsilon, privacy.delta,
                                                accounting::accountant_of(privacy.accountant));
  } catch (const Error& error) {
    throw Error(ErrorKind::kRecipe,
                format("privacy.target_epsilon {}: {}", *privacy.target_epsilon, error.what()),
                error.hint());
  }
}

// But for the noise. Of units that are drawn with several rates those of the largest one bound what
// all cost. How many are drawn is then no binomial number; the one of the mean rate has as many or
// more above any number from the mean on (Hoeffding 1956, Ann. Math. Statist. 27, theorem 4).
StepCost cost_without_noise(bool banded, const UnitDraws::Options& draws) {
  StepCost cost;
  if (banded) cost.steps = draws.least_turns();
  cost.charge.sampling_rate = banded ? 1.0 : draws.largest_rate();
  cost.charge.overflow =
      accounting::overflow_probability(draws.units, draws.mean_rate(), draws.slots);
  return cost;
}

}  // namespace

bool is_private(const PrivacyOptions& privacy) {
  const bool noisy = privacy.target_epsilon || privacy.noise_multiplier.value_or(0) > 0;
  return noisy && privacy.clip_norm > 0;
}

// A round of a banded mechanism is one release of all units, to which the noise of several steps is
// one vector: its sensitivity is the length of a column of the matrix.
std::vector<StepCost> step_costs(const PrivacyOptions& privacy,
                                 const std::vector<DrawnSteps>& parts) {
  const bool banded = privacy.mechanism == "banded_matrix";
  const int bands = static_cast<int>(privacy.bands);
  const double column = banded ? std::sqrt(accounting::banded_sensitivity_squared(bands, 1)) : 1.0;
  std::vector<StepCost> costs;
  accounting::Events charges;
  for (const DrawnSteps& part : parts) {
    costs.push_back(cost_without_noise(banded, part.draws));
    accounting::Event all = costs.back().charge;
    all.steps = (part.steps + costs.back().steps - 1) / costs.back().steps;
    charges.push_back(all);
  }
  const double noise = privacy.target_epsilon ? noise_for_target(privacy, charges)
                                              : *privacy.noise_multiplier / column;
  for (StepCost& cost : costs) {
    cost.charge.noise_multiplier = noise;
    cost.noise_multiplier = noise * column;
  }
  return costs;
}

StepCost step_cost(const PrivacyOptions& privacy, const UnitDraws::Options& draws,
                   std::int64_t max_steps) {
  return step_costs(privacy, {{draws, max_steps}}).front();
}

}  // namespace moesaic
