// A training that looks after itself: a job that fails or hangs is started again from the newest
// whole checkpoint (docs/reliability.md).
#pragma once

#include <cstdint>
#include <string>

#include "launcher.h"
#include "restart_policy.h"

namespace moesaic::cli {

struct RunStarts {
  Launch first;
  Launch again;             // goes on from the newest checkpoint of the run folder
  bool has_origin = false;  // `first` goes on from a checkpoint that was named
};

struct SupervisorOptions {
  RestartPolicy::Options restarts;
  double timeout_s = 600;  // parallel.timeout_s
  int ranks = 1;
};

struct SupervisedResult {
  LaunchResult last;  // of the last attempt
  std::int64_t restarts = 0;
};

/// run_job, as often as the policy lets it. A hang is seen before the ranks' own time-out. What
/// happened is told on stderr, in the log of the chief, and in restarts.jsonl of the run folder.
SupervisedResult run_supervised(const RunStarts& starts, const LaunchOptions& options,
                                const SupervisorOptions& supervisor);

}  // namespace moesaic::cli
