#include "continual/task_files.h"

#include "core/fs.h"
#include "core/json_text.h"
#include "metrics/task_file.h"
#include "observe/task_picture.h"
#include "store/hdf5_tables.h"

namespace moesaic {
namespace {

using Joint = std::optional<std::vector<double>>;

std::vector<std::pair<std::string, Hdf5Attribute>> attributes_of(const TaskMatrix& matrix,
                                                                 const Joint& joint) {
  std::vector<std::pair<std::string, Hdf5Attribute>> attributes = {{"tasks", matrix.tasks},
                                                                   {"metric", matrix.metric}};
  if (!matrix.is_complete()) return attributes;
  const TaskMetrics metrics = task_metrics(matrix, joint);
  attributes.emplace_back("average", metrics.average);
  attributes.emplace_back("backward_transfer", metrics.backward_transfer);
  attributes.emplace_back("forgetting", metrics.forgetting);
  attributes.emplace_back("forward_transfer", metrics.forward_transfer);
  if (metrics.intransigence) attributes.emplace_back("intransigence", *metrics.intransigence);
  return attributes;
}

void write_tables(const TaskMatrix& matrix, const Joint& joint, const std::string& path) {
  const auto columns = static_cast<std::int64_t>(matrix.tasks.size());
  Hdf5Table all{"matrix", {static_cast<std::int64_t>(matrix.rows.size()), columns}, {}};
  for (const auto& row : matrix.rows) all.values.insert(all.values.end(), row.begin(), row.end());
  const Hdf5Table baseline{"baseline", {columns}, matrix.rows.front()};
  write_hdf5_tables(path, {all, baseline}, attributes_of(matrix, joint));
}

}  // namespace

void write_task_files(const TaskMatrix& matrix, const std::string& run_dir, const Joint& joint) {
  if (matrix.rows.empty()) return;
  write_file_atomic(run_dir + "/tasks.json", json_text(to_json(matrix, joint), 2) + "\n");
  write_tables(matrix, joint, run_dir + "/tasks.h5");
  draw_tasks(matrix, run_dir + "/tasks.png");
}

}  // namespace moesaic
