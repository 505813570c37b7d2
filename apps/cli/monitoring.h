// What log.prometheus and --prometheus ask for, from the launcher.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "config/recipe.h"
#include "monitor/run_monitor.h"

namespace moesaic::cli {

/// The monitor of a run that is about to start, nothing where log.prometheus is false. Says on
/// stderr where the metrics are. `resumed`: rows in the run folder are the run's own.
/// Error(kUsage) when the port cannot be used.
std::unique_ptr<RunMonitor> monitor_of(const Recipe& recipe, bool resumed);

/// What --prometheus says: a port (digits alone), or the path of a file. Error(kUsage) for a number
/// that is no port.
std::variant<int, std::string> metrics_place(const std::string& option);

/// The monitor of a job that is about to start; host and version are filled in. The rest as above.
std::unique_ptr<RunMonitor> start_monitor(RunFacts facts,
                                          const std::variant<int, std::string>& where);

}  // namespace moesaic::cli
