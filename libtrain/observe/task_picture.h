// tasks.png: the matrix of a sequence of tasks as a heat map with its numbers. One row a moment,
// from before the first task, one column a task. The darker, the better; the frames show what each
// task had just been learned to.
#pragma once

#include <string>

#include "metrics/continual.h"

namespace moesaic {

/// False where the file cannot be written, or the matrix is too large to be looked at.
bool draw_tasks(const TaskMatrix& matrix, const std::string& path);

}  // namespace moesaic
