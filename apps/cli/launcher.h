// Runs a job as its parent: passes stop signals on, shows what it says, explains how it failed.
#pragma once

#include <optional>
#include <string>

#include "failure.h"
#include "launch_command.h"

namespace moesaic::cli {

struct LaunchResult {
  int exit_code = 0;
  std::optional<Failure> failure;
};

struct LaunchOptions {
  std::string run_dir;       // where the ranks leave their error files
  bool stdout_free = false;  // keep stdout for machine output: the ranks' goes to stderr
  bool live_line = false;    // stdout and stderr are one terminal
};

/// SIGTERM, SIGINT, SIGUSR1 and SIGHUP to this process become SIGUSR1 to the job, which saves and
/// ends with kExitStopped. A second SIGINT ends it without saving, a third kills it.
LaunchResult run_job(const Launch& launch, const LaunchOptions& options);

}  // namespace moesaic::cli
