#include "observe/jsonl_sink.h"

#include <cmath>
#include <optional>
#include <string_view>

#include "core/fs.h"
#include "core/path.h"

namespace moesaic {
namespace {

std::string number(double value) {
  return std::isfinite(value) ? format("{}", value) : std::string("null");
}

std::string array(const std::vector<double>& values) {
  std::vector<std::string> texts;
  for (const double value : values) texts.push_back(number(value));
  return format("[{}]", join(texts, ","));
}

// Of a whole row; nullopt for a torn or damaged line.
std::optional<std::int64_t> step_of(std::string_view line) {
  const Json row = Json::parse(line, nullptr, false);
  if (!row.is_object() || !row.contains("step")) return std::nullopt;
  const Json& step = row["step"];
  return step.is_number_integer() ? std::optional(step.get<std::int64_t>()) : std::nullopt;
}

// Rows up to and with `last_step`. A process that dies leaves at most one torn line, after whatever
// else it wrote; damage before a row that is to be kept is something else and is not hidden.
std::string kept_rows(std::string_view content, std::int64_t last_step, const std::string& path) {
  std::string kept;
  int line_number = 0;
  int damaged_line = 0;
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    const std::string_view line = content.substr(0, end);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    ++line_number;
    const std::optional<std::int64_t> step = step_of(line);
    if (!step && damaged_line == 0) damaged_line = line_number;
    if (!step || *step > last_step) continue;
    if (damaged_line != 0) {
      throw Error(ErrorKind::kCheckpoint,
                  format("{}:{}: not a row of metrics, but rows follow it", path, damaged_line),
                  "mend or remove that line, then resume again");
    }
    kept.append(line).push_back('\n');
  }
  return kept;
}

void cut_back(const std::string& path, std::int64_t last_step) {
  if (!is_file(path, ErrorKind::kCheckpoint)) return;  // a pipe or a device has no past to cut
  const std::string content = last_step > 0 ? read_file(path, ErrorKind::kCheckpoint) : "";
  const std::string kept = kept_rows(content, last_step, path);
  if (last_step <= 0 || kept != content) write_file_atomic(path, kept);
}

}  // namespace

std::string to_json_line(const MetricsRow& row) {
  std::string line = format("{{\"step\":{}", row.step);
  for (const auto& [name, value] : row.values) {
    line += format(",{}:{}", Json(name).dump(), number(value));
  }
  for (const auto& [name, values] : row.vectors) {
    line += format(",{}:{}", Json(name).dump(), array(values));
  }
  return line + "}\n";
}

JsonlSink::JsonlSink(const Options& options) : path_(options.path) {
  JsonlSink::rewind(options.resume_step);
}

void JsonlSink::rewind(std::int64_t step) {
  cut_back(path_, step);
  file_ = AppendFile(path_);
}

void JsonlSink::write(const MetricsRow& row) { file_.append(to_json_line(row)); }

}  // namespace moesaic
