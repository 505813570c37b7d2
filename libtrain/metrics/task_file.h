// tasks.json and the table of a sequence of tasks as text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "metrics/continual.h"

namespace moesaic {

/// Rows as JSON; what is not a number becomes null. Back: Error(kind), naming `where`, for what is
/// no list of rows with `columns` numbers or nulls each.
Json rows_json(const std::vector<std::vector<double>>& rows);
std::vector<std::vector<double>> rows_from(const Json& rows, std::size_t columns,
                                           const std::string& where,
                                           ErrorKind kind = ErrorKind::kData);

/// The content of tasks.json. The derived numbers are null until the last task is done.
Json to_json(const TaskMatrix& matrix, const std::optional<std::vector<double>>& joint = {});

/// Of the file tasks.json. Error(kData) for another one.
TaskMatrix read_task_matrix(const std::string& path);

/// What a model that learned all tasks together reaches on each, in the order of `matrix`: a file
/// with a list of numbers, with {"joint": [numbers]}, or the tasks.json of a run whose tasks have
/// the same names (its last row). Error(kData) for another one.
std::vector<double> read_joint(const std::string& path, const TaskMatrix& matrix);

/// One row of the table, as wide as the names above it: "after finance     0.9120   0.8333".
std::string row_text(const TaskMatrix& matrix, std::size_t row);
/// The names above the rows.
std::string heading_text(const TaskMatrix& matrix);
/// The whole table, and the derived numbers or how many tasks are done; what moesaic tasks prints.
std::string table_text(const TaskMatrix& matrix,
                       const std::optional<std::vector<double>>& joint = {});

}  // namespace moesaic
