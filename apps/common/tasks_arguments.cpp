#include "common/tasks_arguments.h"

namespace moesaic {

void add_tasks_arguments(CLI::App& verb, TasksArguments& arguments) {
  verb.add_option("run", arguments.run, "Run folder")->required();
  verb.add_option("--joint", arguments.joint,
                  "What a model reaches that learned all tasks together, for intransigence: a JSON "
                  "list of numbers, or the tasks.json of its run; goes into RUN/tasks.json and "
                  "RUN/tasks.h5");
  verb.add_flag("--json", arguments.json, "Machine output: the content of tasks.json");
}

}  // namespace moesaic
