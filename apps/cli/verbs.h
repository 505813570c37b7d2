// The verbs of `moesaic`, one source file each. A verb adds its subcommand to `app`; its callback
// sets `exit_code` and throws moesaic::Error, which main prints and turns into the exit code of its
// kind.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace moesaic::cli {

void add_train(CLI::App& app, int& exit_code);
void add_score(CLI::App& app, int& exit_code);
void add_generate(CLI::App& app, int& exit_code);
void add_eval(CLI::App& app, int& exit_code);
void add_importance(CLI::App& app, int& exit_code);
void add_plan(CLI::App& app, int& exit_code);
void add_tasks(CLI::App& app, int& exit_code);
void add_validate(CLI::App& app, int& exit_code);
void add_recipes(CLI::App& app, int& exit_code);
void add_schema(CLI::App& app, int& exit_code);
void add_inspect(CLI::App& app, int& exit_code);
void add_data(CLI::App& app, int& exit_code);
void add_tokenize(CLI::App& app, int& exit_code);
void add_import(CLI::App& app, int& exit_code);
void add_export(CLI::App& app, int& exit_code);
void add_privacy(CLI::App& app, int& exit_code);
void add_federate(CLI::App& app, int& exit_code);
void add_doctor(CLI::App& app, int& exit_code);

/// `moesaic privacy audit`, a verb of `privacy`.
void add_privacy_audit(CLI::App& privacy, int& exit_code);
/// `moesaic federate simulate`, a verb of `federate`.
void add_federate_simulate(CLI::App& federate, int& exit_code);

/// RECIPE [KEY=VALUE ...], the arguments that every verb with a recipe takes.
struct RecipeArguments {
  std::string path;
  std::vector<std::string> overrides;  // each "a.b=value"
};

/// Adds them to a verb; `arguments` must outlive the parse (a verb keeps it in a shared_ptr of its
/// callback). RECIPE is a file, or the name of a shipped recipe as `moesaic recipes ls` prints it.
void add_recipe_arguments(CLI::App& verb, RecipeArguments& arguments);

}  // namespace moesaic::cli
