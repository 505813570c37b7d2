// moesaic federate: keys and revocation lists; starts the coordinator and the silos of a federation
// across sites.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "common/federate_arguments.h"
#include "config/recipe_reader.h"
#include "config/silos.h"
#include "config/site_allowance.h"
#include "config/site_recipe.h"
#include "core/error.h"
#include "identity/keys.h"
#include "inference_job.h"
#include "launcher.h"
#include "monitoring.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

/// One job of a federation, to its end.
struct SiteJob {
  std::string run_dir;
  std::string less_memory;
  LaunchRequest request;
  bool gives_stdin = false;
  std::unique_ptr<RunMonitor> monitor = nullptr;  // of log.prometheus or --prometheus
};

int run_site_job(const SiteJob& job) {
  const Machine machine = Machine::here();
  const Launch launch = make_launch(job.request, machine);
  warn_of_crowding(job.request.ranks, launch, machine);
  const bool terminals = ::isatty(STDOUT_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
  const LaunchResult result =
      run_job(launch, {.run_dir = job.run_dir,
                       .live_line = terminals,
                       .advice = {.less_memory = job.less_memory,
                                  .afterwards = "; then start it again: it goes on by itself"}});
  if (job.monitor) job.monitor->finished(result.exit_code);
  if (result.failure) std::fputs(to_text(*result.failure).c_str(), stderr);
  return result.exit_code;
}

std::vector<std::string> worker_of(const char* side, std::vector<std::string> argv) {
  argv.insert(argv.begin(), {"federate", side});
  return argv;
}

int start_coordinator(const CoordinatorArguments& arguments) {
  refuse_inside_a_job("federate coordinator " + arguments.recipe);
  std::vector<Problem> warnings;
  Recipe recipe = require_recipe(arguments.recipe, arguments.overrides, std::nullopt, &warnings);
  for (const Problem& warning : warnings) std::fputs((warning.text() + "\n").c_str(), stderr);
  require_across_sites(recipe);
  recipe.parallel.ranks = 1;  // here, whatever the silos have
  return run_site_job(
      {.run_dir = recipe.run_dir,
       .less_memory = "give the coordinator more memory: it holds the model and blocks of changes",
       .request = {.ranks = 1,
                   .threads_per_rank = static_cast<int>(recipe.parallel.threads_per_rank),
                   .worker = worker_of("coordinator", to_argv(arguments))},
       .monitor = monitor_of(recipe, /*resumed=*/true)});
}

/// What a silo's launcher reads itself.
struct SiloLaunch {
  std::optional<std::int64_t> ranks;
  std::optional<std::string> prometheus;
};

std::unique_ptr<RunMonitor> monitor_of_silo(const SiteRecipe& site, const std::string& run_dir,
                                            const std::optional<std::string>& prometheus) {
  if (!prometheus) return nullptr;
  return start_monitor({.job = "silo-" + site.name,
                        .run_dir = run_dir,
                        .ranks = static_cast<int>(site.parallel.ranks),
                        .owns_folder = true,  // it has no rows to wait for
                        .numbers = {},
                        .about = {{"verb", "federate silo"}}},
                       metrics_place(*prometheus));
}

int start_silo(SiloArguments arguments, const SiloLaunch& own) {
  refuse_inside_a_job("federate silo " + arguments.recipe);
  const SiteRecipe site = require_site_recipe(arguments.recipe, arguments.overrides, own.ranks);
  if (!arguments.allow.empty()) require_allowance(arguments.allow);
  const bool at_terminal = arguments.allow.empty() && ::isatty(STDIN_FILENO) != 0;
  arguments.ask = !arguments.dry_run && (arguments.ask || at_terminal);
  const std::string run_dir = run_folder_of(arguments, site.name);
  return run_site_job(
      {.run_dir = run_dir,
       .less_memory = "use more ranks",
       .request = {.ranks = static_cast<int>(site.parallel.ranks),
                   .threads_per_rank = static_cast<int>(site.parallel.threads_per_rank),
                   .device = site.parallel.device,
                   .worker = worker_of("silo", to_argv(arguments))},
       .gives_stdin = arguments.ask,
       .monitor = monitor_of_silo(site, run_dir, own.prometheus)});
}

void add_keys_verb(CLI::App& federate) {
  const auto options = std::make_shared<identity::KeyOptions>();
  CLI::App* verb = federate.add_subcommand(
      "keys", "Make the certificates of a federation: an authority, the coordinator, the silos");
  verb->add_option("folder", options->folder, "DIR; in it DIR/coordinator and DIR/NAME")
      ->required();
  verb->add_option("--coordinator", options->coordinator,
                   "Host name or IP address of the coordinator, as silos connect to it")
      ->required();
  verb->add_option("--silo", options->silos, "Name of a silo; again for each")->required();
  verb->add_option("--days", options->days, "That a certificate is good for")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  verb->callback([options] {
    for (const std::string& folder : identity::make_keys(*options)) std::puts(folder.c_str());
  });
}

void add_revoke_verb(CLI::App& federate) {
  struct Arguments {
    std::string folder, silo;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = federate.add_subcommand(
      "revoke", "Shut a silo out: the coordinator reads the list again each round");
  verb->add_option("folder", arguments->folder, "DIR of `federate keys`")->required();
  verb->add_option("--silo", arguments->silo, "Its name")->required();
  verb->callback([arguments] { identity::revoke(arguments->folder, arguments->silo); });
}

}  // namespace

void add_federate(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand(
      "federate", "Train one model over data on several sites: keys, coordinator, silos");
  verb->require_subcommand(1);
  add_keys_verb(*verb);
  add_revoke_verb(*verb);
  const auto coordinator = std::make_shared<CoordinatorArguments>();
  CLI::App* of_coordinator =
      verb->add_subcommand("coordinator", "Lead the rounds, and keep the global model");
  add_coordinator_arguments(*of_coordinator, *coordinator);
  of_coordinator->callback(
      [coordinator, &exit_code] { exit_code = start_coordinator(*coordinator); });
  const auto silo = std::make_shared<SiloArguments>();
  const auto own = std::make_shared<SiloLaunch>();
  CLI::App* of_silo = verb->add_subcommand("silo", "Train on this site's data what is asked for");
  add_silo_arguments(*of_silo, *silo);
  add_prometheus_option(*of_silo, own->prometheus);
  of_silo->add_option("-n", own->ranks, "Number of ranks (default: parallel.ranks)")
      ->check(CLI::Range(1, 1'000'000));
  of_silo->callback([silo, own, &exit_code] { exit_code = start_silo(*silo, *own); });
  add_federate_simulate(*verb, exit_code);
}

}  // namespace moesaic::cli
