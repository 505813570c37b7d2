#include "metrics/continual.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace moesaic {
namespace {

/// Means over the tasks; rows and tasks as in the header, tasks from 1.
class MatrixView {
 public:
  explicit MatrixView(const TaskMatrix& matrix) : matrix_(matrix) {}

  std::size_t tasks() const { return matrix_.tasks.size(); }
  /// More is better.
  double at(std::size_t row, std::size_t task) const {
    return matrix_.sign() * matrix_.rows[row][task - 1];
  }
  /// Of task `task` since it was learned, the last row left out.
  double best(std::size_t task) const {
    double best = at(task, task);
    for (std::size_t row = task + 1; row < tasks(); ++row) {
      const double value = at(row, task);
      best = std::isnan(value) ? value : std::max(best, value);
    }
    return best;
  }

 private:
  const TaskMatrix& matrix_;
};

/// 0 where there is no task.
template <class Value>
double mean_over(std::size_t first, std::size_t last, const Value& value) {
  if (last < first) return 0;
  double sum = 0;
  for (std::size_t task = first; task <= last; ++task) sum += value(task);
  return sum / static_cast<double>(last - first + 1);
}

}  // namespace

TaskMetrics task_metrics(const TaskMatrix& matrix,
                         const std::optional<std::vector<double>>& joint) {
  const MatrixView view(matrix);
  const std::size_t T = view.tasks();
  MOESAIC_ASSERT(T > 0 && matrix.is_complete());
  for (const auto& row : matrix.rows) MOESAIC_ASSERT(row.size() == T);
  MOESAIC_ASSERT(!joint || joint->size() == T);

  TaskMetrics metrics;
  metrics.average = matrix.sign() * mean_over(1, T, [&](auto j) { return view.at(T, j); });
  metrics.backward_transfer =
      mean_over(1, T - 1, [&](auto j) { return view.at(T, j) - view.at(j, j); });
  metrics.forgetting = mean_over(1, T - 1, [&](auto j) { return view.best(j) - view.at(T, j); });
  metrics.forward_transfer =
      mean_over(2, T, [&](auto j) { return view.at(j - 1, j) - view.at(0, j); });
  if (joint) {
    metrics.intransigence =
        mean_over(1, T, [&](auto j) { return matrix.sign() * (*joint)[j - 1] - view.at(j, j); });
  }
  return metrics;
}

}  // namespace moesaic
