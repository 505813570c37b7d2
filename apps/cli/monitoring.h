// What log.prometheus asks for, from the launcher.
#pragma once

#include <memory>

#include "config/recipe.h"
#include "monitor/run_monitor.h"

namespace moesaic::cli {

/// The monitor of a run that is about to start, nothing where log.prometheus is false. Says on
/// stderr where the metrics are. `resumed`: rows in the run folder are the run's own.
/// Error(kUsage) when the port cannot be used.
std::unique_ptr<RunMonitor> monitor_of(const Recipe& recipe, bool resumed);

}  // namespace moesaic::cli
