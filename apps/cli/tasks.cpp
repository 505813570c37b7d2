// moesaic tasks: the matrix of a run's tasks and what follows from it.
#include <cstdio>
#include <memory>

#include "common/tasks_arguments.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "core/path.h"
#include "launch_command.h"
#include "metrics/task_file.h"
#include "process.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

// tasks.h5 changes, too: this process becomes the one that has HDF5.
[[noreturn]] void join_others(const TasksArguments& arguments) {
  Command command{{worker_program(), "tasks", arguments.run, "--joint=" + arguments.joint}, {}};
  if (arguments.json) command.argv.emplace_back("--json");
  replace_process(command);
}

void run(const TasksArguments& arguments) {
  const std::string path = arguments.file();
  MOESAIC_CHECK(path_exists(path, ErrorKind::kData), ErrorKind::kData,
                "{}: there is no tasks.json: it is no run with continual.tasks, or one that has "
                "not begun",
                arguments.run);
  const TaskMatrix matrix = read_task_matrix(path);
  if (!arguments.joint.empty()) join_others(arguments);
  if (arguments.json)
    std::puts(json_text(read_json(path), 2).c_str());
  else
    std::fputs(table_text(matrix).c_str(), stdout);
}

}  // namespace

void add_tasks(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<TasksArguments>();
  CLI::App* verb =
      app.add_subcommand("tasks", "What a run with continual.tasks kept and what it learned");
  add_tasks_arguments(*verb, *arguments);
  verb->callback([arguments, &exit_code] { run(*arguments), exit_code = 0; });
}

}  // namespace moesaic::cli
