#include "engine/open_units.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "accounting/slots.h"
#include "config/tasks.h"
#include "engine/source_digests.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

// Of each of the tasks, or of the run.
std::int64_t steps_of_stream(const RunData& data, std::size_t index) {
  return data.tasks ? data.tasks->steps.steps(index) : data.max_steps;
}

std::int64_t fewest_slots(const PrivacyOptions& privacy, const UnitDraws::Options& draws) {
  return accounting::slots_for(draws.units, draws.mean_rate(), privacy.delta / 1e6);
}

void check_delta(const PrivacyOptions& privacy, const RunData& data) {
  std::int64_t units = 0;
  for (const UnitStream* stream : data.units) units += stream->draws().units;
  const auto count = static_cast<double>(units);
  if (privacy.delta * count < 1 || privacy.allow_no_privacy) return;
  throw Error(ErrorKind::kRecipe,
              format("privacy.delta is {}, not below 1 / units, {} of {} units of kind {}: that "
                     "much would allow to publish a unit as it is",
                     privacy.delta, 1 / count, units, privacy.unit),
              format("set it to {:.1e} or less (units to the power of -1.1), in privacy.budget "
                     "where there is one",
                     std::pow(count, -1.1)));
}

// Of a step with more units than slots nothing is promised.
void check_slots(const PrivacyOptions& privacy, const RunData& data) {
  double likely = 0, steps = 0;
  std::int64_t enough = 1, slots = 1;
  for (std::size_t i = 0; i < data.units.size(); ++i) {
    const UnitDraws::Options& draws = data.units[i]->draws();
    const double own =
        static_cast<double>(steps_of_stream(data, i)) * static_cast<double>(privacy.rounds);
    steps += own;
    likely += own * accounting::overflow_probability(draws.units, draws.mean_rate(), draws.slots);
    slots = draws.slots;
    enough = std::max(enough, fewest_slots(privacy, draws));
  }
  if (likely < privacy.delta || privacy.allow_no_privacy) return;
  throw Error(ErrorKind::kRecipe,
              format("privacy.max_batch_size is {}: a step has that many units or more with "
                     "probability {:.3g}, which in {} steps comes to more than delta, {}",
                     slots, likely / steps, steps, privacy.delta),
              format("raise it to {} or more, or leave it out", enough));
}

// Steps from one use of a unit to the next.
std::int64_t turns_of(const PrivacyOptions& privacy, std::int64_t units, double expected) {
  const auto turns =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(units) / expected));
  const std::int64_t least = std::max(privacy.bands, privacy.min_separation.value_or(1));
  if (turns < least) {
    throw Error(ErrorKind::kRecipe,
                format("{} units of kind {}, {} of them a step, come again after {} steps; "
                       "privacy.min_separation and privacy.bands ask for {}",
                       units, privacy.unit, expected, turns, least),
                "lower privacy.expected_batch_size, or bands and min_separation");
  }
  return turns;
}

// How units are drawn of which a step has `expected` in the mean.
UnitDraws::Others drawn_alike(const PrivacyOptions& privacy, std::int64_t units, double expected,
                              const char* whose) {
  if (expected > static_cast<double>(units)) {
    std::string part;
    if (expected != privacy.expected_batch_size)
      part = format(", {} of them of {}", expected, whose);
    throw Error(ErrorKind::kRecipe,
                format("privacy.expected_batch_size is {}{}, and {} have {} units of kind {}",
                       privacy.expected_batch_size, part, whose, units, privacy.unit),
                "lower it: each unit is in a step with probability expected_batch_size / units");
  }
  UnitDraws::Others drawn{.units = units, .rate = expected / static_cast<double>(units)};
  if (privacy.sampling != "cyclic") return drawn;
  drawn.turns = turns_of(privacy, units, expected);
  drawn.rate = 1 / static_cast<double>(drawn.turns);
  return drawn;
}

UnitDraws::Options draws_of(const Recipe& recipe, const Units& units) {
  const PrivacyOptions& privacy = *recipe.privacy;
  const std::int64_t all = units.size(), own = units.in_first(recipe.data.train.size());
  const double share = own < all ? recipe.continual->replay.share : 0.0;
  const double expected = privacy.expected_batch_size;
  const UnitDraws::Others first = drawn_alike(privacy, own, (1 - share) * expected, "the data");
  UnitDraws::Options draws{
      .units = all, .rate = first.rate, .turns = first.turns, .seed = recipe.seed};
  if (own < all)
    draws.others = drawn_alike(privacy, all - own, share * expected, "continual.replay.sources");
  if (draws.turns > 0) draws.names = units.names();
  draws.slots = privacy.max_batch_size.value_or(fewest_slots(privacy, draws));
  return draws;
}

UnitStream::Options stream_options(const Recipe& recipe, const arch::Options& arch) {
  const std::string& unit = recipe.privacy->unit;
  const bool best_fit = recipe.data.packing == DataOptions::Packing(std::string("best_fit"));
  return {.expected_batch_size = recipe.privacy->expected_batch_size,
          .sequence_length = arch.reads_features() ? 1 : recipe.data.sequence_length,
          .micro_batch_size = recipe.train.micro_batch_size,
          .best_fit = best_fit && unit != "sequence" && !arch.reads_features(),
          .unit = unit};
}

// A source of `valid` that is training data, or "". Chief only.
std::string protected_source(const RunData& data, const std::string& valid) {
  return shared_source(data.description.at(valid), training_sources(data.description));
}

// The loss on what is protected is not to be seen.
void hide_validation(const Recipe& recipe, const RankContext& context, RunData& data) {
  double hidden = 0;
  agreed(context.world, "data.valid", [&] {
    if (!context.is_chief()) return;
    const std::string shared = protected_source(data, "valid");
    if (shared.empty() || recipe.privacy->log_loss) return;
    MOESAIC_CHECK(recipe.eval.patience == 0 && !recipe.checkpoint.best, ErrorKind::kRecipe,
                  "eval.patience and checkpoint.best need a valid_loss, and data.valid has {} of "
                  "the training data, whose loss is not private",
                  shared);
    context.log.warn(
        "valid_loss is not written: data.valid has {} of the training data, and its loss is not "
        "private",
        shared);
    hidden = 1;
  });
  if (context.world.all_reduce(hidden, ReduceOp::kMax, "data.valid: hidden") > 0)
    data.valid.reset();
}

// A task's column of the matrix. What is training data of any task is protected in all of them.
void hide_tasks(const Recipe& recipe, const RankContext& context, RunData& data) {
  const std::vector<ContinualTask> tasks = tasks_of(recipe);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    double hidden = 0;
    if (context.is_chief() && !recipe.privacy->log_loss) {
      const std::string shared = protected_source(data, format("continual.tasks[{}].valid", i));
      hidden = shared.empty() ? 0 : 1;
      if (!shared.empty())
        context.log.warn(
            "tasks.json has no numbers of task {}: its validation data have {} of the training "
            "data, and the loss on them is not private",
            tasks[i].name, shared);
    }
    if (context.world.all_reduce(hidden, ReduceOp::kMax, "tasks: hidden") > 0)
      data.tasks->hidden.insert(i);
  }
}

}  // namespace

Recipe with_replayed(const Recipe& recipe) {
  Recipe joined = recipe;
  if (!recipe.continual || recipe.continual->replay.share == 0) return joined;
  for (const SourceOptions& old : recipe.continual->replay.sources) {
    if (old.format == "idx" || !has_path(recipe.data.train, old.path))
      joined.data.train.push_back(old);
  }
  return joined;
}

void draw_units(const Recipe& recipe, const arch::Options& arch, std::unique_ptr<Units> units,
                const SecretKey& key, RunData& data) {
  const UnitDraws draws(draws_of(recipe, *units), key);
  data.max_steps = steps_of(recipe, units->in_first(recipe.data.train.size()));
  auto stream = std::make_unique<UnitStream>(std::move(units), draws, stream_options(recipe, arch));
  data.units = {stream.get()};
  data.train = std::move(stream);
}

void protect_data(const Recipe& recipe, const RankContext& context, RunData& data) {
  agreed(context.world, "data.units", [&] {
    check_delta(*recipe.privacy, data);
    check_slots(*recipe.privacy, data);
  });
  if (data.tasks)
    hide_tasks(recipe, context, data);
  else if (data.valid)
    hide_validation(recipe, context, data);
}

}  // namespace moesaic
