#include "common/importance_arguments.h"

namespace moesaic {

void add_importance_arguments(CLI::App& verb, ImportanceArguments& arguments) {
  add_model_arguments(verb, arguments.model);
  verb.add_option(
          "--recipe", arguments.recipe,
          "Recipe whose data.train is the old data; its continual.fisher and train.precision "
          "count, too")
      ->required();
  verb.add_option("--output,-o", arguments.output,
                  "HDF5 file to write; it appears when it is complete")
      ->required();
  verb.add_option("--method", arguments.method,
                  "ewc (the Fisher information) | mas (the sensitivity of the outputs)")
      ->check(CLI::IsMember({"ewc", "mas"}))
      ->capture_default_str();
  verb.add_flag("--not-private", arguments.not_private,
                "Though the recipe's data are under a ledger: the file then tells of them without "
                "noise");
  verb.add_flag("--json", arguments.json, "A summary on stdout");
}

std::vector<std::string> to_argv(const ImportanceArguments& arguments) {
  std::vector<std::string> argv;
  append_arguments(argv, arguments.model);
  argv.push_back("--recipe=" + arguments.recipe);
  argv.push_back("--output=" + arguments.output);
  argv.push_back("--method=" + arguments.method);
  if (arguments.not_private) argv.emplace_back("--not-private");
  if (arguments.json) argv.emplace_back("--json");
  return argv;
}

}  // namespace moesaic
