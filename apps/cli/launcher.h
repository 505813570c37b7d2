// Runs a job as its parent: passes stop signals on, shows what it says, explains how it failed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "failure.h"
#include "launch_command.h"
#include "signals.h"

namespace moesaic::cli {

struct LaunchResult {
  int exit_code = 0;
  std::optional<Failure> failure;
  bool was_asked = false;  // a signal asked the job to stop
};

struct LaunchOptions {
  std::string run_dir;        // where the ranks leave their error files, "" = nowhere
  bool saves_on_stop = true;  // the ranks save at SIGUSR1; false: they end by it
  bool gives_stdin = false;   // the job reads this process's stdin
  bool stdout_free = false;   // keep stdout for machine output: the ranks' goes to stderr
  bool live_line = false;     // stdout and stderr are one terminal
  Advice advice = {};
  /// Asked several times a second with the job's first process: true ends it and all that it has
  /// started. Where it is given, no process of the job is left after its end.
  std::function<bool(pid_t)> hangs = {};
};

/// SIGTERM, SIGINT, SIGUSR1 and SIGHUP to this process become SIGUSR1 to the job, which saves and
/// ends with kExitStopped, or ends with 128 + the signal. A second SIGINT ends it without saving, a
/// third kills it.
LaunchResult run_job(const Launch& launch, const LaunchOptions& options);
/// As above, one of several jobs after each other: no signal between them is lost.
LaunchResult run_job(const Launch& launch, const LaunchOptions& options, const Signals& signals);

/// Error(kUsage) when this is one of several tasks of a job: each would start a job of its own.
/// `worker` is what to run there instead: "train recipe.yaml".
void refuse_inside_a_job(const std::string& worker);

void warn_of_crowding(int ranks, const Launch& launch, const Machine& machine);

}  // namespace moesaic::cli
