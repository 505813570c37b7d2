#include <cstdio>
#include <memory>
#include <string>

#include "common/importance_arguments.h"
#include "config/recipe_reader.h"
#include "core/clock.h"
#include "core/json_text.h"
#include "engine/importance_run.h"
#include "inference/inference_model.h"
#include "inference_job.h"
#include "store/agreement.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

// How the model is spread is said by --expert, not by the recipe.
Recipe recipe_of(const ImportanceArguments& arguments, const RankJob& job) {
  Recipe recipe;
  agreed(job.session().world({}, {}), "recipe", [&] {
    recipe = require_recipe(arguments.recipe, {"parallel.expert=1"}, job.session().size());
  });
  return recipe;
}

RankContext context_of(const ImportanceArguments& arguments, const Recipe& recipe,
                       const RankJob& job) {
  const RankPlace place =
      job.place({.device = recipe.parallel.device,
                 .comm = {recipe.parallel.timeout_s, recipe.log.check_collectives},
                 .threads = recipe.parallel.threads_per_rank});
  return model_context(place, arguments.model);
}

void report(const ImportanceNotes& notes, double seconds, const ImportanceArguments& arguments,
            const RankContext& context) {
  context.log.info("wrote     {}: importances over {} examples, labels {}, in {:.1f} s",
                   arguments.output, notes.examples, notes.labels, seconds);
  if (!arguments.json || !context.is_chief()) return;
  const Json json = {{"output", arguments.output},
                     {"method", arguments.method},
                     {"labels", notes.labels},
                     {"examples", notes.examples},
                     {"model_digest", notes.model_digest},
                     {"ranks", context.world.size()},
                     {"seconds_s", seconds}};
  std::fputs((json_text(json, 2) + "\n").c_str(), stdout);
}

int importance(const ImportanceArguments& arguments, const RankJob& job) {
  const Recipe recipe = recipe_of(arguments, job);
  const RankContext context = context_of(arguments, recipe, job);
  const Stopwatch watch;
  const ImportanceNotes notes = make_importances({.model = arguments.model.model,
                                                  .base = arguments.model.base,
                                                  .adapter = arguments.model.adapter,
                                                  .output = arguments.output,
                                                  .mas = arguments.method == "mas",
                                                  .not_private = arguments.not_private},
                                                 recipe, context);
  report(notes, watch.seconds(), arguments, context);
  return 0;
}

}  // namespace

void add_importance(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ImportanceArguments>();
  CLI::App* verb =
      app.add_subcommand("importance", "Importances of a model, as one rank of an MPI job");
  add_importance_arguments(*verb, *arguments);
  verb->callback([arguments, &exit_code] {
    exit_code = run_inference("lower train.micro_batch_size or use more ranks",
                              [&](const RankJob& job) { return importance(*arguments, job); });
  });
}

}  // namespace moesaic::worker
