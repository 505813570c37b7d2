// The process of a rank as the system sees it (proc(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace moesaic {

struct RankProcess {
  char state = 'R';  // of proc(5): T = stopped, D = waits for a disk, Z = dead
  double cpu_s = 0;  // user and system time of all its threads
  double resident_bytes = 0;
  double threads = 0;
  std::optional<double> read_bytes, written_bytes;  // of disks; nothing where the system hides it

  bool runs() const { return state != 'T' && state != 't' && state != 'Z' && state != 'X'; }
};

/// Of the worker with this process id on this machine; nothing where there is none, or another
/// program has the number by now. `proc` is where the files of proc(5) are.
std::optional<RankProcess> rank_process(std::int64_t pid, const std::string& proc = "/proc");

}  // namespace moesaic
