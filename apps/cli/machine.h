// What this machine and the surroundings of this process offer to ranks.
#pragma once

#include <optional>
#include <string>

namespace moesaic::cli {

struct Machine {
  std::string host;
  int cores = 1;         // physical cores that are online
  int usable_cores = 1;  // of them, those this process may use: affinity mask and CPU quota
  int nodes = 1;         // of the allocation that a job started here spreads over
  bool root = false;
  bool remote_shell = true;   // ssh or rsh is on the PATH, or a setting names another
  bool shares_memory = true;  // one process may copy from another one: asked, not guessed

  static Machine here();
};

/// Why mpirun does not start on a host of this name; "" = nothing is known against it.
std::string trouble_of_mpirun(const std::string& host);

/// When this process is one of several tasks that mpirun or srun started: what says so.
std::optional<std::string> task_of_a_job();

/// Bytes of memory this process may still use: what is available, within the limit of its cgroup.
double available_memory_bytes();

/// Path of a program on PATH, "" when it is not there.
std::string find_on_path(const std::string& name);

}  // namespace moesaic::cli
