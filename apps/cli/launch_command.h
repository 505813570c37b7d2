// The command that starts the ranks of a job, computed and not run.
#pragma once

#include <string>
#include <vector>

#include "machine.h"
#include "process.h"

namespace moesaic::cli {

/// The job that a verb asks for.
struct LaunchRequest {
  int ranks = 1;
  int threads_per_rank = 0;         // 0 = cores / ranks on the node
  std::string device = "cpu";       // cpu | cuda: which worker
  std::vector<std::string> worker;  // its verb and arguments
  int columns = 0;                  // width of the terminal that stdout is, 0 = it is none
};

struct Launch {
  Command command;
  int threads = 1;          // of a rank
  bool bound = false;       // each rank to cores of its own
  bool crowded = false;     // more ranks on a node than cores
  bool has_mpirun = false;  // one rank needs none
  bool on_one_node = true;
};

/// Error(kDevice) when a program is missing.
Launch make_launch(const LaunchRequest& request, const Machine& machine);

/// "mpirun -n RANKS" with what any job needs on this machine; `program` is the path of mpirun.
std::vector<std::string> mpirun_argv(const std::string& program, int ranks, const Machine& machine);

/// Path of the worker beside this program ("cpu" or "cuda"); Error(kDevice) when it is not there.
std::string worker_program(const std::string& device = "cpu");

}  // namespace moesaic::cli
