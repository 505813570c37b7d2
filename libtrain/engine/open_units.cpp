#include "engine/open_units.h"

#include <algorithm>
#include <cmath>

#include "accounting/slots.h"
#include "engine/source_digests.h"
#include "privacy/shared_key.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

void check_number_of_units(const PrivacyOptions& privacy, std::int64_t units) {
  const auto count = static_cast<double>(units);
  if (privacy.delta * count >= 1 && !privacy.allow_no_privacy) {
    throw Error(ErrorKind::kRecipe,
                format("privacy.delta is {}, not below 1 / units, {} of {} units of kind {}: that "
                       "much would allow to publish a unit as it is",
                       privacy.delta, 1 / count, units, privacy.unit),
                format("set it to {:.1e} or less (units to the power of -1.1), in privacy.budget "
                       "where there is one",
                       std::pow(count, -1.1)));
  }
  if (privacy.expected_batch_size > count) {
    throw Error(ErrorKind::kRecipe,
                format("privacy.expected_batch_size is {}, and the data have {} units of kind {}",
                       privacy.expected_batch_size, units, privacy.unit),
                "lower it: each unit is in a step with probability expected_batch_size / units");
  }
}

// Steps from one use of a unit to the next.
std::int64_t turns_of(const PrivacyOptions& privacy, std::int64_t units) {
  const auto turns = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(static_cast<double>(units) / privacy.expected_batch_size));
  const std::int64_t least = std::max(privacy.bands, privacy.min_separation.value_or(1));
  if (turns < least) {
    throw Error(ErrorKind::kRecipe,
                format("{} units of kind {}, {} of them a step, come again after {} steps; "
                       "privacy.min_separation and privacy.bands ask for {}",
                       units, privacy.unit, privacy.expected_batch_size, turns, least),
                "lower privacy.expected_batch_size, or bands and min_separation");
  }
  return turns;
}

// Of a step with more units than slots nothing is promised.
void check_slots(const PrivacyOptions& privacy, const UnitDraws::Options& draws,
                 std::int64_t max_steps) {
  const double overflow = accounting::overflow_probability(draws.units, draws.rate, draws.slots);
  const double steps = static_cast<double>(max_steps) * static_cast<double>(privacy.rounds);
  if (overflow * steps < privacy.delta || privacy.allow_no_privacy) return;
  throw Error(ErrorKind::kRecipe,
              format("privacy.max_batch_size is {}: a step is not whole with probability {:.3g}, "
                     "which in {} steps comes to more than delta, {}",
                     draws.slots, overflow, steps, privacy.delta),
              format("raise it to {} or more, or leave it out",
                     accounting::slots_for(draws.units, draws.rate, privacy.delta / 1e6)));
}

UnitDraws::Options draws_of(const Recipe& recipe, const UnitList& list,
                            const std::vector<Sequences>& sources) {
  const PrivacyOptions& privacy = *recipe.privacy;
  const std::int64_t units = list.size();
  check_number_of_units(privacy, units);
  UnitDraws::Options draws{.units = units,
                           .rate = privacy.expected_batch_size / static_cast<double>(units),
                           .seed = recipe.seed};
  if (privacy.sampling == "cyclic") {
    draws.turns = turns_of(privacy, units);
    draws.names = list.distinct_fingerprints(sources);
    draws.rate = 1 / static_cast<double>(draws.turns);
  }
  const double bound = privacy.delta / 1e6;
  draws.slots = privacy.max_batch_size.value_or(accounting::slots_for(units, draws.rate, bound));
  check_slots(privacy, draws, steps_of(recipe, units));
  return draws;
}

UnitStream::Options stream_options(const Recipe& recipe) {
  const std::string& unit = recipe.privacy->unit;
  const bool best_fit = recipe.data.packing == DataOptions::Packing(std::string("best_fit"));
  return {.expected_batch_size = recipe.privacy->expected_batch_size,
          .sequence_length = recipe.data.sequence_length,
          .micro_batch_size = recipe.train.micro_batch_size,
          .best_fit = best_fit && unit != "sequence",
          .unit = unit};
}

// The loss on what is protected is not to be seen.
void close_validation(const Recipe& recipe, const RankContext& context, RunData& data) {
  bool shown = true;
  agreed(context.world, "data.valid", [&] {
    if (!context.is_chief()) return;
    const std::string shared =
        shared_source(data.description.at("valid"), data.description.at("train"));
    if (shared.empty() || recipe.privacy->log_loss) return;
    MOESAIC_CHECK(recipe.eval.patience == 0 && !recipe.checkpoint.best, ErrorKind::kRecipe,
                  "eval.patience and checkpoint.best need a valid_loss, and data.valid has {} of "
                  "the training data, whose loss is not private",
                  shared);
    context.log.warn(
        "valid_loss is not written: data.valid has {} of the training data, and its loss is not "
        "private",
        shared);
    shown = false;
  });
  if (context.world.all_reduce(shown ? 0.0 : 1.0, ReduceOp::kMax, "data.valid: hidden") > 0)
    data.valid.reset();
}

}  // namespace

RunData open_units(const Recipe& recipe, const CorpusPaths& paths, std::int64_t vocab_size,
                   const RankContext& context, RunData data) {
  const PrivacyOptions& privacy = *recipe.privacy;
  const SecretKey key = shared_key(context.world, privacy.noise_seed);
  agreed(context.world, "data.units", [&] {
    std::vector<Sequences> sources = open_unit_sources(recipe, paths, vocab_size);
    for (const Sequences& source : sources) data.train_sequences += source.size();
    UnitList units(privacy.unit, sources);
    const UnitDraws draws(draws_of(recipe, units, sources), key);
    data.max_steps = steps_of(recipe, units.size());
    auto stream = std::make_unique<UnitStream>(std::move(sources), std::move(units), draws,
                                               stream_options(recipe));
    data.units = stream.get();
    data.train = std::move(stream);
    if (!recipe.data.valid.empty())
      data.valid = std::make_unique<EvalBatches>(open_valid(recipe, paths, vocab_size));
  });
  if (data.valid) close_validation(recipe, context, data);
  return data;
}

}  // namespace moesaic
