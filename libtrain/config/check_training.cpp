// What of the optimizer and the course of a run does not go together.
#include "config/check.h"
#include "config/parameter_groups.h"
#include "config/training_table.h"
#include "core/format.h"

namespace moesaic {
namespace {

void check_groups(const Recipe& recipe, const arch::Options& options, const Places& places,
                  ProblemList& problems) {
  const auto& groups = recipe.optimizer.groups;
  if (groups.empty() || problems.has_error("optimizer.groups")) return;
  Recipe plain = recipe;
  plain.optimizer.groups.clear();
  arch::Options trained = options;
  if (recipe.train.mtp_coefficient == 0) trained.num_nextn_predict_layers = 0;
  const arch::ParameterTable table = training_table(plain, trained);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::string key = format("optimizer.groups[{}].match", i);
    if (const auto what = problem_of(groups[i], table))
      problems.error(place_of(places, key), key, *what);
  }
}

void check_sharding(const Recipe& recipe, const Places& places, ProblemList& problems) {
  const char* const key = "parallel.shard_optimizer";
  if (!recipe.parallel.shard_optimizer || recipe.moe.placement != "balanced") return;
  problems.error(place_of(places, key), key,
                 "does not go with moe.placement balanced, which moves experts with their state");
}

}  // namespace

void check_training(const Recipe& recipe, const arch::Options& options, const Places& places,
                    ProblemList& problems) {
  check_groups(recipe, options, places, problems);
  check_sharding(recipe, places, problems);
}

}  // namespace moesaic
