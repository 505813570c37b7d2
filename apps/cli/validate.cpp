// moesaic validate: every problem of a recipe at once.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "common/without_effect.h"
#include "config/check.h"
#include "config/data_format.h"
#include "config/image_source.h"
#include "config/recipe_reader.h"
#include "config/tasks.h"
#include "core/error.h"
#include "core/path.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct ValidateArguments {
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

// What there is to say of the data on this machine. The recipe is valid all the same: it may be
// meant for another one.
void look_at_source(const LoadedRecipe& loaded, const SourceOptions& source, const std::string& key,
                    ProblemList& found) {
  const Place place = place_of(loaded.places, key);
  try {
    if (source.format == "idx") {
      if (!loaded.has_errors()) choose_images(source, architecture_of(loaded.recipe));
      return;
    }
    const DataFiles data = find_data(source, Log({.console = false}));
    for (const std::string& warning : data.warnings) found.warning(place, key, warning);
  } catch (const Error& error) {
    const std::string hint = error.hint().empty() ? "" : format(" ({})", error.hint());
    found.warning(place, key, error.what() + hint);
  }
}

void look_at_template(const LoadedRecipe& loaded, ProblemList& found) {
  const char* const key = "data.chat_template";
  const std::optional<std::string>& path = loaded.recipe.data.chat_template;
  const Place place = place_of(loaded.places, key);
  try {
    if (path && !path_exists(*path)) found.warning(place, key, format("there is no {}", *path));
  } catch (const Error& error) {
    found.warning(place, key, error.what());
  }
}

std::vector<Problem> look_at_data(const LoadedRecipe& loaded) {
  ProblemList found;
  look_at_template(loaded, found);
  for (const auto& [name, sources] : source_lists(loaded.recipe)) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const SourceOptions& source = sources[i];
      if (source.path.empty()) continue;  // a mistake of the recipe
      look_at_source(loaded, source, format("{}[{}].path", name, i), found);
    }
  }
  return found.sorted();
}

Json to_json(const std::vector<Problem>& problems) {
  Json list = Json::array();
  for (const Problem& problem : problems) list.push_back(to_json(problem));
  return list;
}

void print_json(const std::string& path, const LoadedRecipe& loaded) {
  const Json result = {{"recipe", path},
                       {"valid", !loaded.has_errors()},
                       {"problems", to_json(loaded.problems)},
                       {"data", to_json(look_at_data(loaded))}};
  std::puts(result.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

std::string counted(std::ptrdiff_t number, const char* what, const char* where = "") {
  return number == 0 ? "" : format(", {} {}{}{}", number, what, number == 1 ? "" : "s", where);
}

void print_text(const std::string& path, const LoadedRecipe& loaded) {
  for (const Problem& problem : loaded.problems) std::puts(problem.text().c_str());
  const std::vector<Problem> data = look_at_data(loaded);
  for (const Problem& problem : data) std::puts(problem.text().c_str());
  const auto warnings = std::count_if(loaded.problems.begin(), loaded.problems.end(),
                                      [](const Problem& p) { return p.warning; });
  const auto errors = static_cast<std::ptrdiff_t>(loaded.problems.size()) - warnings;
  std::puts(format("{}: {}{}{}{}", path, errors == 0 ? "valid" : "not valid",
                   counted(errors, "error"), counted(warnings, "warning"),
                   counted(std::ssize(data), "doubt", " about the data"))
                .c_str());
}

int run_validate(const ValidateArguments& arguments) {
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
  const auto arguments = std::make_shared<ValidateArguments>();
  CLI::App* verb =
      app.add_subcommand("validate", "Check a recipe: every problem at once, with its place");
  add_recipe_arguments(*verb, arguments->recipe);
  verb->add_option("-n", arguments->ranks, "Number of ranks (default: parallel.ranks)");
  verb->add_flag("--json", arguments->json, "Machine output");
  verb->add_flag("--resolved", arguments->resolved,
                 "Print the complete recipe, with every default");
  verb->callback([arguments, &exit_code] { exit_code = run_validate(*arguments); });
}

}  // namespace moesaic::cli
