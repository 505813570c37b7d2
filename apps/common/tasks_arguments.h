// The options of `tasks`, of the launcher and of the worker, which writes what --joint adds.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace moesaic {

struct TasksArguments {
  std::string run;
  std::string joint;
  bool json = false;

  std::string file() const { return run + "/tasks.json"; }
};

/// `arguments` must outlive the parse.
void add_tasks_arguments(CLI::App& verb, TasksArguments& arguments);

}  // namespace moesaic
