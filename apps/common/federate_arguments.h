// The options of `moesaic federate coordinator` and `silo`: the launcher reads them to pass them
// on, the worker to follow them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace moesaic {

struct CoordinatorArguments {
  std::string recipe;
  std::vector<std::string> overrides;
  std::string listen;
  std::string keys;
};

struct SiloArguments {
  std::string recipe;
  std::vector<std::string> overrides;
  std::string connect;
  std::string keys;
  std::string allow;    // "" = what it is asked for when it joins first
  std::string run_dir;  // "" = runs/<name>
  bool dry_run = false;
  bool ask = false;  // a person at the terminal accepts what it is asked for, or not
};

/// `arguments` must outlive the parse.
void add_coordinator_arguments(CLI::App& verb, CoordinatorArguments& arguments);
void add_silo_arguments(CLI::App& verb, SiloArguments& arguments);

/// What reads back as the same.
std::vector<std::string> to_argv(const CoordinatorArguments& arguments);
std::vector<std::string> to_argv(const SiloArguments& arguments);

/// The run folder of a silo of that name.
std::string run_folder_of(const SiloArguments& arguments, const std::string& name);

}  // namespace moesaic
