// moesaic tasks: the matrix of a run's tasks and what follows from it.
#include <cstdio>
#include <memory>
#include <optional>

#include "core/error.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "core/path.h"
#include "metrics/task_file.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct Arguments {
  std::string run;
  std::string joint;
  bool json = false;
};

using Values = std::optional<std::vector<double>>;

void print_table(const TaskMatrix& matrix, const Values& joint) {
  std::puts(heading_text(matrix).c_str());
  for (std::size_t row = 0; row < matrix.rows.size(); ++row)
    std::puts(row_text(matrix, row).c_str());
  if (!matrix.is_complete()) {
    std::puts(format("{} of {} tasks are done", matrix.rows.empty() ? 0 : matrix.rows.size() - 1,
                     matrix.tasks.size())
                  .c_str());
    return;
  }
  const TaskMetrics metrics = task_metrics(matrix, joint);
  const auto line = [](const char* name, double value, const char* meaning) {
    std::puts(format("{:<18} {:>9.4f}  {}", name, value, meaning).c_str());
  };
  line("average", metrics.average, "mean of the last row");
  line("backward transfer", metrics.backward_transfer, "below 0: later tasks took from earlier");
  line("forgetting", metrics.forgetting, "above 0: less is known than at best");
  line("forward transfer", metrics.forward_transfer, "above 0: earlier tasks helped later ones");
  if (metrics.intransigence)
    line("intransigence", *metrics.intransigence, "above 0: less was learned than together");
}

void run(const Arguments& arguments) {
  const std::string path = arguments.run + "/tasks.json";
  MOESAIC_CHECK(path_exists(path, ErrorKind::kData), ErrorKind::kData,
                "{}: there is no tasks.json: it is no run with continual.tasks, or one that has "
                "not begun",
                arguments.run);
  const TaskMatrix matrix = read_task_matrix(path);
  Values joint;
  if (!arguments.joint.empty()) {
    MOESAIC_CHECK(matrix.is_complete(), ErrorKind::kData,
                  "{}: --joint is for a run whose last task is done", path);
    joint = read_joint(arguments.joint, matrix);
    write_file_atomic(path, json_text(to_json(matrix, joint), 2) + "\n");
  }
  if (arguments.json)
    std::puts(json_text(joint ? to_json(matrix, joint) : read_json(path), 2).c_str());
  else
    print_table(matrix, joint);
}

}  // namespace

void add_tasks(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("tasks", "What a run with continual.tasks kept and what it learned");
  verb->add_option("run", arguments->run, "Run folder")->required();
  verb->add_option("--joint", arguments->joint,
                   "What a model reaches that learned all tasks together, for intransigence: a "
                   "JSON list of numbers, or the tasks.json of its run; goes into RUN/tasks.json");
  verb->add_flag("--json", arguments->json, "Machine output: the content of tasks.json");
  verb->callback([arguments, &exit_code] { run(*arguments), exit_code = 0; });
}

}  // namespace moesaic::cli
