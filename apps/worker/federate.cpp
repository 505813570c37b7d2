// moesaic-worker federate coordinator | silo: the two sides of a federation across sites.
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "common/federate_arguments.h"
#include "config/recipe_reader.h"
#include "config/silos.h"
#include "config/site_allowance.h"
#include "config/site_recipe.h"
#include "core/fs.h"
#include "engine/coordinator.h"
#include "engine/global_model.h"
#include "engine/run_folder.h"
#include "engine/site_silo.h"
#include "kernel_caches.h"
#include "rank_job.h"
#include "run_sinks.h"
#include "store/agreement.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

/// `recipe` as one process computes it.
Recipe of_one_rank(Recipe recipe) {
  recipe.parallel.ranks = 1;
  recipe.parallel.expert = 1;
  recipe.parallel.device = "cpu";
  recipe.parallel.shard_optimizer = false;
  return recipe;
}

int coordinate(const Recipe& recipe, const CoordinatorArguments& arguments, const RankJob& job,
               StopSignal& stop) {
  const CommOptions comm{recipe.parallel.timeout_s, recipe.log.check_collectives};
  const RunFolder folder(recipe.run_dir, RunFolder::Mode::kResume,
                         inputs_of(recipe, arguments.recipe));
  const RankPlace place = job.place({.device = "cpu",
                                     .comm = comm,
                                     .threads = recipe.parallel.threads_per_rank,
                                     .run_dir = recipe.run_dir});
  const arch::Options arch = architecture_of(recipe);
  const RankContext context =
      RankContext::make(place.world, Plan::make(1, 1, arch.num_experts), place.log, place.device);
  GlobalModel model(recipe, context);
  RoundJournal journal(rounds_folder(recipe.run_dir) + "/journal.jsonl");
  write_run_recipe(recipe);
  const auto door = listen_for_silos({.listen = arguments.listen,
                                      .keys = arguments.keys,
                                      .run = journal.run(),
                                      .inbox = exchange_folder(recipe.run_dir) + "/inbox",
                                      .most_blob_bytes = model.most_change_bytes(),
                                      .heartbeat_s = recipe.federated->heartbeat_s,
                                      .stall_s = recipe.federated->stall_s});
  const std::string host = arguments.listen.substr(0, arguments.listen.rfind(':'));
  place.log.info("listening at {}:{}", host, door->port());
  Coordinator coordinator(recipe, context, model, journal, *door);
  add_sinks(recipe, {.resumed = coordinator.step() > 0}, place.log, coordinator);
  return coordinator.run(stop);
}

int run_coordinator(const CoordinatorArguments& arguments) {
  bound_kernel_caches();
  StopSignal stop;  // before MPI starts threads
  RankJob job({.memory_hint = "the coordinator holds the model and a few blocks of each silo"});
  return job.run([&] {
    MOESAIC_CHECK(job.session().size() == 1, ErrorKind::kUsage,
                  "a coordinator is one process, and this job has {}", job.session().size());
    const Recipe recipe = of_one_rank(require_recipe(arguments.recipe, arguments.overrides));
    require_across_sites(recipe);
    job.report_to(recipe.run_dir);
    return coordinate(recipe, arguments, job, stop);
  });
}

int train_silo(const SiteSilo::Options& options, const SiloArguments& arguments, const RankJob& job,
               StopSignal& stop) {
  const ParallelOptions& parallel = options.site.parallel;
  const CommOptions comm{parallel.timeout_s};
  std::unique_ptr<RunFolder> folder;
  const Communicator start = job.session().world(comm, {});
  agreed(start, "run folder", [&] {
    if (job.session().rank() != 0) return;
    folder = std::make_unique<RunFolder>(options.run_dir, RunFolder::Mode::kResume);
    make_folder(options.run_dir + "/exchange");
    write_file_atomic(options.run_dir + "/silo.yaml", to_yaml(options.site));
  });
  const RankPlace place = job.place({.device = parallel.device,
                                     .comm = comm,
                                     .threads = parallel.threads_per_rank,
                                     .run_dir = options.run_dir});
  ChiefTurn turn(place.world, stop);
  std::unique_ptr<CoordinatorDoor> door;
  agreed(place.world, "keys", [&] {
    if (!place.world.is_chief()) return;
    door = connect_to_coordinator(
        {.connect = arguments.connect, .keys = arguments.keys, .alive = [&turn] { turn.alive(); }});
  });
  SiteSilo silo(options, place.world, place.log, place.device, turn, door.get());
  const int exit_code = silo.run(stop);
  place.world.barrier("end");
  return exit_code;
}

/// What a silo would train, and whether a person at the terminal accepts it.
bool ask_at_terminal(const Recipe& recipe) {
  const FederatedOptions& federated = *recipe.federated;
  const std::string steps = federated.local_epochs
                                ? format("{} epochs", *federated.local_epochs)
                                : format("{} steps", federated.local_steps.value_or(kLocalSteps));
  std::fputs(format("The coordinator asks for {} rounds of {} of '{}' ({}), {}, {}.\n"
                    "The changes of its trained parameters leave this site. Accept? [y/N] ",
                    federated.rounds, steps, recipe.name,
                    recipe.adapt && recipe.adapt->lora ? "an adapter" : "its weights",
                    federated.aggregator.type,
                    recipe.privacy ? "with record-level privacy" : "without record-level privacy")
                 .c_str(),
             stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int run_silo(const SiloArguments& arguments) {
  bound_kernel_caches();
  StopSignal stop;
  RankJob job({.memory_hint = "lower train.micro_batch_size at the coordinator or use more ranks"});
  return job.run([&] {
    SiteSilo::Options options;
    agreed(job.session().world({}, {}), "recipe", [&] {
      options.site =
          require_site_recipe(arguments.recipe, arguments.overrides, job.session().size());
      if (!arguments.allow.empty()) options.allowance = require_allowance(arguments.allow);
      options.run_dir = run_folder_of(arguments, options.site.name);
      options.dry_run = arguments.dry_run;
      if (arguments.ask) options.ask = ask_at_terminal;
    });
    job.report_to(options.run_dir);
    return train_silo(options, arguments, job, stop);
  });
}

}  // namespace

void add_federate(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("federate", "One side of a federation across sites");
  verb->require_subcommand(1);
  const auto coordinator = std::make_shared<CoordinatorArguments>();
  CLI::App* of_coordinator = verb->add_subcommand("coordinator", "Leads the rounds");
  add_coordinator_arguments(*of_coordinator, *coordinator);
  of_coordinator->callback(
      [coordinator, &exit_code] { exit_code = run_coordinator(*coordinator); });
  const auto silo = std::make_shared<SiloArguments>();
  CLI::App* of_silo = verb->add_subcommand("silo", "Trains one silo, as one rank of its job");
  add_silo_arguments(*of_silo, *silo);
  of_silo->callback([silo, &exit_code] { exit_code = run_silo(*silo); });
}

}  // namespace moesaic::worker
