#include "common/federate_arguments.h"

#include "core/fs.h"

namespace moesaic {
namespace {

void add_if(std::vector<std::string>& argv, const char* option, const std::string& value) {
  if (!value.empty()) argv.insert(argv.end(), {option, value});
}

}  // namespace

void add_coordinator_arguments(CLI::App& verb, CoordinatorArguments& arguments) {
  verb.add_option("recipe", arguments.recipe, "Recipe of the federation")->required();
  verb.add_option("overrides", arguments.overrides, "KEY=VALUE ...");
  verb.add_option("--listen", arguments.listen, "HOST:PORT to listen at; port 0: any free one")
      ->required();
  verb.add_option("--keys", arguments.keys, "DIR/coordinator of `moesaic federate keys`")
      ->required();
}

void add_silo_arguments(CLI::App& verb, SiloArguments& arguments) {
  verb.add_option("recipe", arguments.recipe, "Recipe of the silo: name, data, parallel")
      ->required();
  verb.add_option("overrides", arguments.overrides, "KEY=VALUE ...");
  verb.add_option("--connect", arguments.connect, "HOST:PORT of the coordinator")->required();
  verb.add_option("--keys", arguments.keys, "DIR/NAME of `moesaic federate keys`")->required();
  verb.add_option("--allow", arguments.allow,
                  "What the coordinator may ask for (default: what it asks for at first)");
  verb.add_option("--run-dir", arguments.run_dir, "Run folder (default: runs/NAME)");
  verb.add_flag("--dry-run", arguments.dry_run,
                "Join, list what would leave this site with its bytes, and leave");
  verb.add_flag(
      "--ask", arguments.ask,
      "Ask at the terminal what to accept at first (without --allow: where there is one)");
}

std::vector<std::string> to_argv(const CoordinatorArguments& arguments) {
  std::vector<std::string> argv = {arguments.recipe};
  argv.insert(argv.end(), arguments.overrides.begin(), arguments.overrides.end());
  add_if(argv, "--listen", arguments.listen);
  add_if(argv, "--keys", arguments.keys);
  return argv;
}

std::vector<std::string> to_argv(const SiloArguments& arguments) {
  std::vector<std::string> argv = {arguments.recipe};
  argv.insert(argv.end(), arguments.overrides.begin(), arguments.overrides.end());
  add_if(argv, "--connect", arguments.connect);
  add_if(argv, "--keys", arguments.keys);
  add_if(argv, "--allow", arguments.allow);
  add_if(argv, "--run-dir", arguments.run_dir);
  if (arguments.dry_run) argv.emplace_back("--dry-run");
  if (arguments.ask) argv.emplace_back("--ask");
  return argv;
}

std::string run_folder_of(const SiloArguments& arguments, const std::string& name) {
  return absolute_path(arguments.run_dir.empty() ? "runs/" + name : arguments.run_dir);
}

}  // namespace moesaic
