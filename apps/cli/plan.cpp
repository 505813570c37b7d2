// moesaic plan: what a recipe costs on a number of ranks, by arithmetic alone.
#include <cstdio>
#include <memory>
#include <optional>

#include "config/device_table.h"
#include "config/recipe_reader.h"
#include "core/error.h"
#include "core/json_text.h"
#include "plan_matrix.h"
#include "plan_report.h"
#include "shipped_recipes.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct PlanArguments {
  RecipeArguments recipe;
  std::optional<std::int64_t> ranks;
  bool matrix = false;
  std::string devices;
  bool json = false;
};

void run_matrix(const PlanArguments& arguments, const Recipe& recipe) {
  const std::string path = arguments.devices.empty() ? shipped_devices() : arguments.devices;
  const Json matrix = matrix_json(recipe, read_devices(path));
  if (arguments.json)
    std::puts(json_text(matrix, 2).c_str());
  else
    print_matrix(matrix);
}

void run_plan(const PlanArguments& arguments) {
  std::vector<Problem> warnings;
  const Recipe recipe =
      require_recipe(arguments.recipe.path, arguments.recipe.overrides, arguments.ranks, &warnings);
  for (const Problem& warning : warnings) std::fputs((warning.text() + "\n").c_str(), stderr);
  if (arguments.matrix) return run_matrix(arguments, recipe);
  if (arguments.json)
    std::puts(json_text(plan_json(recipe), 2).c_str());
  else
    print_plan(recipe);
}

}  // namespace

void add_plan(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<PlanArguments>();
  CLI::App* verb = app.add_subcommand(
      "plan", "Parameters, memory, FLOPs and bytes moved, without running anything");
  add_recipe_arguments(*verb, arguments->recipe);
  CLI::Option* const ranks =
      verb->add_option("-n", arguments->ranks, "Number of ranks (default: parallel.ranks)");
  CLI::Option* const matrix = verb->add_flag(
      "--matrix", arguments->matrix,
      "The least number of devices of each kind, for full training, adapters and generation");
  matrix->excludes(ranks);
  verb->add_option("--devices", arguments->devices, "A table of your own (data/devices.yaml)")
      ->needs(matrix);
  verb->add_flag("--json", arguments->json, "Machine output");
  verb->callback([arguments, &exit_code] { run_plan(*arguments), exit_code = 0; });
}

}  // namespace moesaic::cli
