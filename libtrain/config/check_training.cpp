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

void check_stragglers(const Recipe& recipe, const Places& places, ProblemList& problems) {
  const char* const key = "parallel.straggler_ratio";
  const double ratio = recipe.parallel.straggler_ratio;
  if (ratio == 0 || ratio > 1 || problems.has_error(key)) return;
  problems.error(place_of(places, key), key,
                 format("{} would name ranks that are no slower than the others; above 1, or 0 for "
                        "none",
                        ratio));
}

// What valid_loss decides needs data for it.
void check_validation(const Recipe& recipe, const Places& places, ProblemList& problems) {
  if (!recipe.data.valid.empty() || problems.has_error("data.valid")) return;
  const auto refuse = [&](bool wrong, const char* key) {
    if (wrong)
      problems.error(place_of(places, key), key, "needs data.valid: there is no valid_loss");
  };
  refuse(recipe.eval.patience > 0, "eval.patience");
  refuse(recipe.checkpoint.best, "checkpoint.best");
}

}  // namespace

void check_training(const Recipe& recipe, const arch::Options& options, const Places& places,
                    ProblemList& problems) {
  check_groups(recipe, options, places, problems);
  check_sharding(recipe, places, problems);
  check_stragglers(recipe, places, problems);
  check_validation(recipe, places, problems);
}

}  // namespace moesaic
