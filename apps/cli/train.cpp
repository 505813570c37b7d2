// moesaic train: checks the recipe, computes the layout, starts the ranks and stays their parent.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "common/without_effect.h"
#include "config/recipe_reader.h"
#include "config/scalar.h"
#include "config/silos.h"
#include "core/error.h"
#include "dry_run.h"
#include "launcher.h"
#include "limits.h"
#include "monitoring.h"
#include "supervisor.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct TrainArguments {
  RecipeArguments recipe;
  std::optional<std::int64_t> ranks;
  std::string resume;
  std::string base;
  bool overwrite = false;
  bool allow_changed_data = false;
  bool dry_run = false;
  bool print_command = false;
  bool json = false;
};

int terminal_columns() {
  if (::isatty(STDOUT_FILENO) == 0) return 0;
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

Recipe checked_recipe(const TrainArguments& arguments) {
  std::vector<Problem> warnings;
  Recipe recipe =
      require_recipe(arguments.recipe.path, arguments.recipe.overrides, arguments.ranks, &warnings);
  for (const Problem& warning : warnings) std::fputs((warning.text() + "\n").c_str(), stderr);
  return recipe;
}

void print_command(const Launch& launch, bool json) {
  if (!json) {
    std::puts(launch.command.shell_text().c_str());
    return;
  }
  Json environment = Json::object();
  for (const auto& [name, value] : launch.command.environment) environment[name] = value;
  std::puts(Json{{"argv", launch.command.argv}, {"environment", environment}}
                .dump(2, ' ', false, Json::error_handler_t::replace)
                .c_str());
}

LaunchRequest request_of(const Recipe& recipe, const TrainArguments& arguments) {
  LaunchRequest request{.ranks = static_cast<int>(recipe.parallel.ranks),
                        .threads_per_rank = static_cast<int>(recipe.parallel.threads_per_rank),
                        .device = recipe.parallel.device,
                        .worker = {"train", arguments.recipe.path},
                        .columns = arguments.json ? 0 : terminal_columns()};
  const auto& overrides = arguments.recipe.overrides;
  request.worker.insert(request.worker.end(), overrides.begin(), overrides.end());
  if (!arguments.resume.empty()) {
    request.worker.insert(request.worker.end(), {"--resume", arguments.resume});
  }
  if (arguments.overwrite) request.worker.emplace_back("--overwrite");
  if (arguments.allow_changed_data) request.worker.emplace_back("--allow-changed-data");
  return request;
}

// As `arguments`, but from the newest checkpoint on.
LaunchRequest request_again(const Recipe& recipe, TrainArguments arguments) {
  arguments.resume = "auto";
  arguments.overwrite = false;
  return request_of(recipe, arguments);
}

SupervisedResult run_ranks(const Recipe& recipe, const Launch& launch,
                           const TrainArguments& arguments, const Machine& machine) {
  const bool terminals = ::isatty(STDOUT_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
  const LaunchOptions options{.run_dir = recipe.run_dir,
                              .stdout_free = arguments.json,
                              .live_line = terminals && !arguments.json};
  if (recipe.train.restarts == 0) return {run_job(launch, options), 0};
  const RunStarts starts{.first = launch,
                         .again = make_launch(request_again(recipe, arguments), machine),
                         .has_origin = !arguments.resume.empty() && arguments.resume != "auto"};
  return run_supervised(starts, options,
                        {.restarts = {recipe.train.restarts, recipe.train.restart_window_s},
                         .timeout_s = recipe.parallel.timeout_s,
                         .ranks = static_cast<int>(recipe.parallel.ranks)});
}

int start_training(const Recipe& recipe, const Launch& launch, const TrainArguments& arguments,
                   const Machine& machine) {
  const auto monitor = monitor_of(recipe, !arguments.resume.empty());
  const auto [result, restarts] = run_ranks(recipe, launch, arguments, machine);
  if (monitor) monitor->finished(result.exit_code);
  if (result.failure) std::fputs(to_text(*result.failure).c_str(), stderr);
  if (arguments.json) {
    const Json summary = {{"run_dir", recipe.run_dir},
                          {"ranks", recipe.parallel.ranks},
                          {"exit_code", result.exit_code},
                          {"restarts", restarts},
                          {"failure", result.failure ? to_json(*result.failure) : Json(nullptr)}};
    std::puts(summary.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  }
  return result.exit_code;
}

int run_train(const TrainArguments& arguments) {
  refuse_inside_a_job("train " + arguments.recipe.path);
  warn_without_effect(arguments.dry_run && arguments.print_command, "--dry-run",
                      "--print-command goes before it");
  const Recipe recipe = checked_recipe(arguments);
  if (recipe.federated) require_in_one_job(recipe);
  const Machine machine = Machine::here();
  const LaunchRequest request = request_of(recipe, arguments);
  const Launch launch = make_launch(request, machine);
  warn_of_crowding(request.ranks, launch, machine);
  if (arguments.print_command) {
    print_command(launch, arguments.json);
    return 0;
  }
  warn_of_limits(recipe, machine);
  if (arguments.dry_run) {
    print_dry_run(recipe, launch, arguments.json);
    return 0;
  }
  return start_training(recipe, launch, arguments, machine);
}

}  // namespace

void add_train(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<TrainArguments>();
  CLI::App* verb = app.add_subcommand("train", "Train a model on one or many ranks");
  add_recipe_arguments(*verb, arguments->recipe);
  verb->add_option("-n", arguments->ranks, "Number of ranks (default: parallel.ranks)")
      ->check(CLI::Range(1, 1'000'000));
  auto* resume = verb->add_option("--resume", arguments->resume,
                                  "auto (the newest checkpoint of the run), or the path of one");
  verb->add_option("--base", arguments->base,
                   "Where the model now is that the run's adapters began from (as model.from=PATH)")
      ->needs(resume);
  verb->add_flag("--overwrite", arguments->overwrite,
                 "Remove the run that is in the run folder first")
      ->excludes(resume);
  verb->add_flag("--allow-changed-data", arguments->allow_changed_data,
                 "Resume though the data have changed since the checkpoint was saved")
      ->needs(resume);
  verb->add_flag("--dry-run", arguments->dry_run, "Show costs, groups and command; start nothing");
  verb->add_flag("--print-command", arguments->print_command,
                 "Print the command that starts the ranks; start nothing");
  verb->add_flag("--json", arguments->json,
                 "Machine output: a summary on stdout, everything else on stderr");
  verb->callback([arguments, &exit_code] {
    if (!arguments->base.empty())
      arguments->recipe.overrides.push_back("model.from=" + yaml_text(arguments->base));
    exit_code = run_train(*arguments);
  });
}

}  // namespace moesaic::cli
