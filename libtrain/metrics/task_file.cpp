#include "metrics/task_file.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/format.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostTasks = 10'000;
constexpr std::size_t kCell = 9;  // characters of a value, at least
constexpr const char* kBefore = "before";

Json value_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json row_json(const std::vector<double>& row) {
  Json values = Json::array();
  for (const double value : row) values.push_back(value_json(value));
  return values;
}

std::vector<double> row_from(const Json& row, std::size_t columns, const std::string& where,
                             ErrorKind kind = ErrorKind::kData) {
  MOESAIC_CHECK(row.is_array() && row.size() == columns, kind,
                "{}: expected {} numbers, one a task", where, columns);
  std::vector<double> values;
  for (const Json& value : row) {
    MOESAIC_CHECK(value.is_number() || value.is_null(), kind, "{}: expected numbers, one a task",
                  where);
    values.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN()
                                     : value.get<double>());
  }
  return values;
}

const Json& member_of(const Json& object, const char* key, const std::string& where) {
  MOESAIC_CHECK(object.is_object() && object.contains(key), ErrorKind::kData,
                "{}: it has no '{}': it is no tasks.json of a run", where, key);
  return object.at(key);
}

std::vector<std::string> names_from(const Json& names, const std::string& where) {
  MOESAIC_CHECK(names.is_array() && !names.empty() && names.size() <= kMostTasks, ErrorKind::kData,
                "{}: 'tasks' is no list of names", where);
  std::vector<std::string> found;
  for (const Json& name : names) {
    MOESAIC_CHECK(name.is_string(), ErrorKind::kData, "{}: 'tasks' is no list of names", where);
    found.push_back(name.get<std::string>());
  }
  return found;
}

TaskMatrix matrix_from(const Json& file, const std::string& where) {
  TaskMatrix matrix;
  matrix.tasks = names_from(member_of(file, "tasks", where), where);
  const Json& metric = member_of(file, "metric", where);
  MOESAIC_CHECK(metric == "accuracy" || metric == "loss", ErrorKind::kData,
                "{}: 'metric' is neither accuracy nor loss", where);
  matrix.metric = metric.get<std::string>();
  matrix.rows = rows_from(member_of(file, "matrix", where), matrix.tasks.size(), where);
  MOESAIC_CHECK(matrix.rows.size() <= matrix.tasks.size() + 1, ErrorKind::kData,
                "{}: 'matrix' has {} rows for {} tasks", where, matrix.rows.size(),
                matrix.tasks.size());
  return matrix;
}

std::size_t cell_of(const std::string& name) { return std::max(kCell, name.size() + 2); }

std::size_t first_column(const TaskMatrix& matrix) {
  std::size_t widest = std::max(std::string(kBefore).size(), matrix.metric.size());
  for (const std::string& name : matrix.tasks) widest = std::max(widest, name.size() + 6);
  return widest;
}

}  // namespace

Json rows_json(const std::vector<std::vector<double>>& rows) {
  Json list = Json::array();
  for (const auto& row : rows) list.push_back(row_json(row));
  return list;
}

std::vector<std::vector<double>> rows_from(const Json& rows, std::size_t columns,
                                           const std::string& where, ErrorKind kind) {
  MOESAIC_CHECK(rows.is_array() && rows.size() <= kMostTasks + 1, kind,
                "{}: the matrix is no list of rows", where);
  std::vector<std::vector<double>> found;
  for (const Json& row : rows) found.push_back(row_from(row, columns, where, kind));
  return found;
}

Json to_json(const TaskMatrix& matrix, const std::optional<std::vector<double>>& joint) {
  Json file = {{"tasks", matrix.tasks},
               {"metric", matrix.metric},
               {"matrix", rows_json(matrix.rows)},
               {"baseline", matrix.rows.empty() ? Json(nullptr) : row_json(matrix.rows[0])}};
  if (!matrix.is_complete()) {
    for (const char* key :
         {"average", "backward_transfer", "forgetting", "forward_transfer", "intransigence"})
      file[key] = nullptr;
    return file;
  }
  const TaskMetrics metrics = task_metrics(matrix, joint);
  file["average"] = value_json(metrics.average);
  file["backward_transfer"] = value_json(metrics.backward_transfer);
  file["forgetting"] = value_json(metrics.forgetting);
  file["forward_transfer"] = value_json(metrics.forward_transfer);
  file["intransigence"] =
      metrics.intransigence ? value_json(*metrics.intransigence) : Json(nullptr);
  return file;
}

TaskMatrix read_task_matrix(const std::string& path) { return matrix_from(read_json(path), path); }

std::vector<double> read_joint(const std::string& path, const TaskMatrix& matrix) {
  const Json file = read_json(path);
  const std::size_t columns = matrix.tasks.size();
  if (file.is_array()) return row_from(file, columns, path);
  if (file.is_object() && file.contains("joint")) return row_from(file["joint"], columns, path);
  const TaskMatrix other = matrix_from(file, path);
  MOESAIC_CHECK(other.is_complete() && other.metric == matrix.metric, ErrorKind::kData,
                "{}: it is not the finished matrix of the metric {}", path, matrix.metric);
  std::vector<double> joint;
  for (const std::string& name : matrix.tasks) {
    const auto found = std::find(other.tasks.begin(), other.tasks.end(), name);
    MOESAIC_CHECK(found != other.tasks.end(), ErrorKind::kData, "{}: it has no task '{}'", path,
                  printable(name));
    joint.push_back(other.rows.back()[static_cast<std::size_t>(found - other.tasks.begin())]);
  }
  return joint;
}

std::string row_text(const TaskMatrix& matrix, std::size_t row) {
  const std::string name = row == 0 ? kBefore : "after " + matrix.tasks[row - 1];
  std::string text = format("{:<{}}", name, first_column(matrix));
  for (std::size_t j = 0; j < matrix.tasks.size(); ++j)
    text += format("{:>{}.4f}", matrix.rows[row][j], cell_of(matrix.tasks[j]));
  return text;
}

std::string heading_text(const TaskMatrix& matrix) {
  std::string text = format("{:<{}}", matrix.metric, first_column(matrix));
  for (const std::string& name : matrix.tasks) text += format("{:>{}}", name, cell_of(name));
  return text;
}

std::string table_text(const TaskMatrix& matrix, const std::optional<std::vector<double>>& joint) {
  std::string text = heading_text(matrix) + "\n";
  for (std::size_t row = 0; row < matrix.rows.size(); ++row) text += row_text(matrix, row) + "\n";
  if (!matrix.is_complete()) {
    return text + format("{} of {} tasks are done\n",
                         matrix.rows.empty() ? 0 : matrix.rows.size() - 1, matrix.tasks.size());
  }
  const TaskMetrics metrics = task_metrics(matrix, joint);
  const auto add = [&](const char* name, double value, const char* meaning) {
    text += format("{:<18} {:>9.4f}  {}\n", name, value, meaning);
  };
  add("average", metrics.average, "mean of the last row");
  add("backward transfer", metrics.backward_transfer, "below 0: later tasks took from earlier");
  add("forgetting", metrics.forgetting, "above 0: less is known than at best");
  add("forward transfer", metrics.forward_transfer, "above 0: earlier tasks helped later ones");
  if (metrics.intransigence)
    add("intransigence", *metrics.intransigence, "above 0: less was learned than together");
  return text;
}

}  // namespace moesaic
