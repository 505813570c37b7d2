// The files that a sequence of tasks leaves in its run folder: tasks.json, tasks.h5, tasks.png.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metrics/continual.h"

namespace moesaic {

/// Writes all three for the rows so far, in place of those that are there. `joint` as in
/// task_metrics(). By one process; no other thread of it may use HDF5 meanwhile.
/// Error(kCheckpoint) where the first two cannot be written.
void write_task_files(const TaskMatrix& matrix, const std::string& run_dir,
                      const std::optional<std::vector<double>>& joint = {});

}  // namespace moesaic
