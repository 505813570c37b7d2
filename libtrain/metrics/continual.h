// What a sequence of tasks did to what was known: the matrix R of a metric, one row after each
// task, and the numbers that the field derives from it. docs/continual.md names other conventions.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace moesaic {

/// R[i][j] = the metric on task j after task i; row 0 is the one before the first task, so a
/// finished sequence has a row more than tasks.
struct TaskMatrix {
  std::vector<std::string> tasks;
  std::string metric = "loss";  // accuracy: more is better | loss: less is better
  std::vector<std::vector<double>> rows;

  bool is_complete() const { return rows.size() == tasks.size() + 1; }
  /// +1 where more of the metric is better, -1 where less is.
  double sign() const { return metric == "accuracy" ? 1.0 : -1.0; }
};

/// With T tasks, counted from 1 as the rows are, and s = sign():
struct TaskMetrics {
  /// mean over j of R[T][j], as it is.
  double average = 0;
  /// mean over j < T of s (R[T][j] - R[j][j]): below 0 = forgotten (Lopez-Paz and Ranzato 2017,
  /// arXiv 1706.08840, eq. 3). 0 with one task; so are the next two.
  double backward_transfer = 0;
  /// mean over j < T of the best of s R[j..T-1][j] less s R[T][j]: above 0 = forgotten, for every
  /// metric (Chaudhry et al. 2018, arXiv 1801.10112, eq. 3, over the rows since the task was
  /// learned).
  double forgetting = 0;
  /// mean over j > 1 of s (R[j-1][j] - R[0][j]): above 0 = earlier tasks helped (Lopez-Paz and
  /// Ranzato 2017, eq. 4; the baseline is the model before the first task).
  double forward_transfer = 0;
  /// mean over j of s (joint_j - R[j][j]): above 0 = less was learned than by a model that learns
  /// all tasks together (Chaudhry et al. 2018, eq. 5).
  std::optional<double> intransigence;
};

/// Of a complete matrix with one task at least, whose rows have a value for each. `joint`: the
/// metric on each task of the model that learned them together. What is not a number makes what is
/// derived from it not a number.
TaskMetrics task_metrics(const TaskMatrix& matrix,
                         const std::optional<std::vector<double>>& joint = {});

}  // namespace moesaic
