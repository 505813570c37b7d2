#include "privacy/make_privacy.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "accounting/mechanisms.h"
#include "core/error.h"
#include "privacy/clipping_sink.h"
#include "privacy/noise.h"
#include "privacy/private_steps.h"
#include "privacy/step_cost.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

PrivateLedger::Options ledger_of(const PrivacySubject& subject, const StepCost& cost) {
  const PrivacyOptions& privacy = *subject.recipe.privacy;
  std::optional<accounting::Budget> budget;
  if (privacy.budget) budget = accounting::Budget{privacy.budget->epsilon, privacy.budget->delta};
  return {.path = privacy.ledger,
          .terms = {.data = subject.data, .unit = privacy.unit, .budget = budget},
          .accountant = accounting::accountant_of(privacy.accountant),
          .charge = cost.charge,
          .steps = cost.steps,
          .delta = privacy.delta};
}

void warn_of_what_is_shown(const PrivacyOptions& privacy, const Log& log) {
  if (privacy.noise_seed) log.warn("NOT PRIVATE: privacy.noise_seed tells everybody the noise");
  if (!is_private(privacy))
    log.warn("NOT PRIVATE: there is no bound, or no noise (privacy.allow_no_privacy)");
  if (privacy.log_loss) log.warn("privacy.log_loss: the losses that are written are not private");
}

// Of all rounds, where the run is a silo's.
std::int64_t steps_in_all(const PrivacySubject& subject) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
  const std::int64_t rounds = subject.recipe.privacy->rounds;
  return subject.max_steps > kMost / rounds ? kMost : subject.max_steps * rounds;
}

std::vector<DrawnSteps> parts_of(const PrivacySubject& subject) {
  if (!subject.tasks) return {{subject.units.at(0)->draws(), steps_in_all(subject)}};
  std::vector<DrawnSteps> parts;
  for (std::size_t i = 0; i < subject.units.size(); ++i)
    parts.push_back({subject.units[i]->draws(), subject.tasks->steps(i)});
  return parts;
}

// Of the run, or of one of its tasks.
void tell(double noise, const std::string& unit, const UnitDraws::Options& draws, const Log& log) {
  const UnitDraws::Others& old = draws.others;
  log.info(
      "privacy   noise {:.6g} x clip_norm, each of {} {}s with probability {:.6g}{}", noise,
      draws.units - old.units, unit, draws.rate,
      old.units == 0 ? std::string() : format(", of {} old ones with {:.6g}", old.units, old.rate));
}

PrivateSteps::Options steps_of(const PrivacySubject& subject, const RankContext& context) {
  const PrivacyOptions& privacy = *subject.recipe.privacy;
  PrivateSteps::Options options{.privacy = privacy,
                                .noise_multiplier = privacy.noise_multiplier.value_or(0)};
  if (!is_private(privacy)) return options;
  agreed(context.world, "privacy: noise", [&] {
    const std::vector<StepCost> costs = step_costs(privacy, parts_of(subject));
    options.noise_multiplier = costs.front().noise_multiplier;
    options.ledger = ledger_of(subject, costs.front());
    if (subject.tasks) options.tasks = PrivateSteps::Tasks{*subject.tasks, costs};
  });
  for (const UnitStream* units : subject.units)
    tell(options.noise_multiplier, privacy.unit, units->draws(), context.log);
  return options;
}

std::vector<double> coefficients_of(const PrivacyOptions& privacy) {
  const bool banded = privacy.mechanism == "banded_matrix";
  return accounting::banded_coefficients(banded ? static_cast<int>(privacy.bands) : 1);
}

}  // namespace

PrivacyRun make_privacy(const PrivacySubject& subject, const RankContext& context,
                        std::unique_ptr<GradientSink> sink) {
  const PrivacyOptions& privacy = *subject.recipe.privacy;
  warn_of_what_is_shown(privacy, context.log);
  auto clipping = std::make_unique<ClippingSink>(
      subject.parameters, context,
      ClippingSink::Options{.matmul = subject.computation.matmul,
                            .dtype = subject.computation.precision.master,
                            .divisor = privacy.expected_batch_size,
                            .rule = ClippingRule::named(privacy.clipping, privacy.clip_norm)},
      std::move(sink));
  auto steps = std::make_unique<PrivateSteps>(steps_of(subject, context), context.world, *clipping,
                                              subject.units);
  auto noise = std::make_unique<PrivateNoise>(
      [&own = *steps](const Step& step) { return own.draw(step); }, coefficients_of(privacy));
  return {.part = std::move(steps), .sink = std::move(clipping), .noise = std::move(noise)};
}

}  // namespace moesaic
