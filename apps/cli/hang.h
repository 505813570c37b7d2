// A job that hangs, described: who keeps it waiting, where the ranks are, and their stacks.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "failure.h"
#include "job_state.h"

namespace moesaic::cli {

/// Who keeps the others waiting.
struct Suspect {
  int rank = -1;            // -1 = not known
  bool is_stopped = false;  // its process, by a signal

  bool operator==(const Suspect&) const = default;
};

/// `stopped`: the ranks whose process is; the first of them, else the first that is behind.
Suspect suspect_of(const JobState& job, const std::vector<int>& stopped);

struct HangFacts {
  double silent_s = 0;   // since the last sign of life of any rank
  double timeout_s = 0;  // parallel.timeout_s
  std::string run_dir;
  pid_t root = 0;  // the job's first process
};

struct HangReport {
  Failure failure;
  std::string stacks;  // path of the file with what every rank does; "" = it was not written
};

/// Of a job whose processes are still there. Takes a few seconds.
HangReport report_hang(const JobState& job, const HangFacts& facts);

}  // namespace moesaic::cli
