// The command that starts the ranks of a job, computed and not run.
#pragma once

#include <string>
#include <vector>

#include "config/recipe.h"
#include "machine.h"
#include "process.h"

namespace moesaic::cli {

/// What the user asked of `moesaic train` beside the recipe.
struct LaunchRequest {
  std::string recipe;                  // path
  std::vector<std::string> overrides;  // "a.b=value"
  std::string resume;                  // "" | "auto" | path
  bool overwrite = false;
  int columns = 0;  // width of the terminal that stdout is, 0 = it is none
};

struct Launch {
  Command command;
  int threads = 1;          // of a rank
  bool bound = false;       // each rank to cores of its own
  bool crowded = false;     // more ranks on a node than cores
  bool has_mpirun = false;  // one rank needs none
};

/// `recipe.parallel.ranks` is the size of the job. Error(kDevice) when a program is missing.
Launch make_launch(const Recipe& recipe, const LaunchRequest& request, const Machine& machine);

/// Path of the worker beside this program ("cpu" or "cuda"); Error(kDevice) when it is not there.
std::string worker_program(const std::string& device = "cpu");

}  // namespace moesaic::cli
