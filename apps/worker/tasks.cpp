// tasks --joint: what a model reaches that learned all tasks together, into the files of a run's
// tasks.
#include <memory>

#include "common/tasks_arguments.h"
#include "continual/task_files.h"
#include "core/error.h"
#include "core/json_text.h"
#include "core/standard_streams.h"
#include "metrics/task_file.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

void write_joint(const TasksArguments& arguments) {
  const TaskMatrix matrix = read_task_matrix(arguments.file());
  MOESAIC_CHECK(matrix.is_complete(), ErrorKind::kData,
                "{}: --joint is for a run whose last task is done", arguments.file());
  const std::vector<double> joint = read_joint(arguments.joint, matrix);
  write_task_files(matrix, arguments.run, joint);
  write_stdout(arguments.json ? json_text(to_json(matrix, joint), 2) + "\n"
                              : table_text(matrix, joint));
}

}  // namespace

void add_tasks(CLI::App& app, int&) {
  const auto arguments = std::make_shared<TasksArguments>();
  CLI::App* verb = app.add_subcommand("tasks", "The files of a run's tasks, with --joint");
  add_tasks_arguments(*verb, *arguments);
  verb->get_option("--joint")->required();
  verb->callback([arguments] { write_joint(*arguments); });
}

}  // namespace moesaic::worker
