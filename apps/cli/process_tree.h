// The processes of a job, down to those that mpirun has started: every one is ended.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace moesaic::cli {

struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';  // of /proc/PID/stat: R, S, D, T (stopped), Z (ended, not yet waited for) ...

  bool is_stopped() const { return state == 'T' || state == 't'; }
};

/// nullopt where there is no such process.
std::optional<ProcessInfo> process_info(pid_t pid);

/// Those that run now and come from `root`, without it.
std::vector<ProcessInfo> descendants(pid_t root);

/// From now on processes whose parent has died become children of this one: none of them is lost.
void adopt_orphans();

/// Ends `root` and all that comes from it. With `grace_s` above 0, `root` is asked first (SIGTERM)
/// and has so long to end its own: mpirun also reaches those on other machines. Waits for the end,
/// but never longer than 5 s more. `root` is left for its parent to wait for.
void end_tree(pid_t root, double grace_s);

/// Ends whatever still comes from this process, which must wait for no child of its own; waits at
/// most 5 s. Returns how many processes do not end, not even by SIGKILL.
std::size_t end_leftovers();

}  // namespace moesaic::cli
