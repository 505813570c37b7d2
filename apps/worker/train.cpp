#include <memory>
#include <string>

#include "config/recipe_reader.h"
#include "engine/federated_run.h"
#include "engine/run_folder.h"
#include "engine/training_run.h"
#include "kernel_caches.h"
#include "observe/routing_picture.h"
#include "rank_job.h"
#include "run_sinks.h"
#include "store/agreement.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

struct Arguments {
  std::string recipe;
  std::vector<std::string> overrides;
  std::string resume;
  bool overwrite = false;
  bool allow_changed_data = false;
};

RunFolder::Mode mode_of(const Arguments& arguments) {
  if (arguments.overwrite) return RunFolder::Mode::kOverwrite;
  return arguments.resume.empty() ? RunFolder::Mode::kFresh : RunFolder::Mode::kResume;
}

// After the sink of rows, which cuts them back.
template <class Run>
void add_picture(const Recipe& recipe, Run& run) {
  if (!architecture_of(recipe).is_moe() || recipe.federated) return;
  run.add_sink(std::make_unique<RoutingPicture>(
      RoutingPicture::Options{recipe.run_dir + "/routing.png", recipe.run_dir + "/metrics.jsonl"}));
}

/// A TrainingRun, or a FederatedRun. Collective over world.
template <class Run>
int run_to_end(const Recipe& recipe, const Arguments& arguments, const RankContext& context,
               StopSignal& stop) {
  Run run(recipe, context,
          {.resume = arguments.resume, .allow_changed_data = arguments.allow_changed_data});
  if (context.is_chief()) {
    write_run_recipe(recipe);
    add_sinks(recipe, {.resumed = !arguments.resume.empty()}, context.log, run);
    add_picture(recipe, run);
  }
  return run.run(stop);
}

int train(const Recipe& recipe, const Arguments& arguments, const RankJob& job, StopSignal& stop) {
  const CommOptions comm{recipe.parallel.timeout_s, recipe.log.check_collectives};
  std::unique_ptr<RunFolder> folder;
  if (job.session().rank() == 0) {
    folder = std::make_unique<RunFolder>(recipe.run_dir, mode_of(arguments),
                                         inputs_of(recipe, arguments.recipe));
  }
  job.session().world(comm, {}).barrier("run folder");  // from here on it is there
  const RankPlace place = job.place({.device = recipe.parallel.device,
                                     .comm = comm,
                                     .threads = recipe.parallel.threads_per_rank,
                                     .run_dir = recipe.run_dir});
  const arch::Options arch = architecture_of(recipe);
  const Plan plan =
      Plan::make(place.world.size(), static_cast<int>(recipe.parallel.expert), arch.num_experts);
  const RankContext context = RankContext::make(place.world, plan, place.log, place.device);
  place.log.info("run       {}, {} threads a rank", recipe.run_dir, place.threads);

  const int exit_code = recipe.federated
                            ? run_to_end<FederatedRun>(recipe, arguments, context, stop)
                            : run_to_end<TrainingRun>(recipe, arguments, context, stop);
  place.world.barrier("end");
  return exit_code;
}

/// MPI is started before the ranks agree on the recipe, and must know. Mistakes are told later.
MpiThreads threads_for(const Arguments& arguments) {
  try {
    const Recipe recipe = load_recipe(arguments.recipe, arguments.overrides).recipe;
    return recipe.checkpoint.async ? MpiThreads::kAtTheSameTime : MpiThreads::kInTurn;
  } catch (const Error&) {
    return MpiThreads::kInTurn;
  }
}

int run_rank(const Arguments& arguments) {
  bound_kernel_caches();
  StopSignal stop;  // before MPI starts threads
  RankJob job({.memory_hint = "lower train.micro_batch_size or use more ranks",
               .mpi_threads = threads_for(arguments)});
  return job.run([&] {
    Recipe recipe;
    agreed(job.session().world({}, {}), "recipe", [&] {
      recipe = require_recipe(arguments.recipe, arguments.overrides, job.session().size());
    });
    job.report_to(recipe.run_dir);
    return train(recipe, arguments, job, stop);
  });
}

}  // namespace

void add_train(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("train", "Train as one rank of an MPI job");
  verb->add_option("recipe", arguments->recipe, "Recipe file")->required();
  verb->add_option("overrides", arguments->overrides, "KEY=VALUE ...");
  verb->add_option("--resume", arguments->resume, "auto, or a checkpoint or run folder");
  verb->add_flag("--overwrite", arguments->overwrite,
                 "Remove the run that is in the run folder first");
  verb->add_flag("--allow-changed-data", arguments->allow_changed_data,
                 "Resume though the data have changed");
  verb->callback([arguments, &exit_code] { exit_code = run_rank(*arguments); });
}

}  // namespace moesaic::worker
