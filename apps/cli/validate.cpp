// moesaic validate: every problem of a recipe at once.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "common/without_effect.h"
#include "config/recipe_reader.h"
#include "core/error.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct Arguments {
  RecipeArguments recipe;
  std::optional<std::int64_t> ranks;
  bool json = false;
  bool resolved = false;
};

Json to_json(const Problem& problem) {
  return {{"severity", problem.warning ? "warning" : "error"},
          {"file", problem.file},
          {"line", problem.line},
          {"column", problem.column},
          {"key", problem.key},
          {"message", problem.message}};
}

void print_json(const std::string& path, const LoadedRecipe& loaded) {
  Json result = {{"recipe", path}, {"valid", !loaded.has_errors()}, {"problems", Json::array()}};
  for (const Problem& problem : loaded.problems) result["problems"].push_back(to_json(problem));
  std::puts(result.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

std::string counted(std::ptrdiff_t number, const char* what) {
  return number == 0 ? "" : format(", {} {}{}", number, what, number == 1 ? "" : "s");
}

void print_text(const std::string& path, const LoadedRecipe& loaded) {
  for (const Problem& problem : loaded.problems) std::puts(problem.text().c_str());
  const auto warnings = std::count_if(loaded.problems.begin(), loaded.problems.end(),
                                      [](const Problem& p) { return p.warning; });
  const auto errors = static_cast<std::ptrdiff_t>(loaded.problems.size()) - warnings;
  std::puts(format("{}: {}{}{}", path, errors == 0 ? "valid" : "not valid",
                   counted(errors, "error"), counted(warnings, "warning"))
                .c_str());
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.recipe.path;
  warn_without_effect(arguments.json && arguments.resolved, "--resolved",
                      "--json gives the problems");
  const LoadedRecipe loaded = load_recipe(path, arguments.recipe.overrides, arguments.ranks);
  if (arguments.json) {
    print_json(path, loaded);
  } else if (arguments.resolved && !loaded.has_errors()) {
    std::fputs(to_yaml(loaded.recipe).c_str(), stdout);
  } else {
    print_text(path, loaded);
  }
  return loaded.has_errors() ? static_cast<int>(ErrorKind::kRecipe) : 0;
}

}  // namespace

void add_validate(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("validate", "Check a recipe: every problem at once, with its place");
  add_recipe_arguments(*verb, arguments->recipe);
  verb->add_option("-n", arguments->ranks, "Number of ranks (default: parallel.ranks)");
  verb->add_flag("--json", arguments->json, "Machine output");
  verb->add_flag("--resolved", arguments->resolved,
                 "Print the complete recipe, with every default");
  verb->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace moesaic::cli
