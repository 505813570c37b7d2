#include "observe/run_log.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>

#include "core/json.h"
#include "core/path.h"

namespace moesaic {
namespace {

constexpr std::uint64_t kMostBytes = 16U << 20;  // of a log, its end
constexpr std::size_t kMostLines = 300;
constexpr std::size_t kLongestText = 1000;

// "TIME rank 0 LEVEL: TEXT"; nothing for another line, such as the second of a message.
std::optional<LogLine> log_line(std::string_view line) {
  constexpr std::string_view kRank = " rank ";
  const std::size_t rank = line.find(kRank);
  if (rank == std::string_view::npos || line.empty() || line[0] < '0' || line[0] > '9') return {};
  const std::size_t level = line.find(' ', rank + kRank.size());
  const std::size_t text = line.find(": ", rank);
  if (level == std::string_view::npos || text == std::string_view::npos || text < level) return {};
  return LogLine{std::string(line.substr(0, rank)),
                 std::string(line.substr(level + 1, text - level - 1)),
                 std::string(line.substr(text + 2, kLongestText))};
}

std::optional<std::int64_t> number_after(const std::string& text, std::string_view words) {
  const std::size_t at = text.rfind(words);
  std::int64_t number = 0;
  if (at == std::string::npos) return std::nullopt;
  const char* from = text.data() + at + words.size();
  const auto [end, error] = std::from_chars(from, text.data() + text.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// Whether the line is worth showing.
bool follow(const LogLine& line, RunLog& log) {
  const std::string& text = line.text;
  if (text.starts_with("run       ")) {
    ++log.starts;
    log.end = RunLog::End::kNone;
    log.given_up = false;
    return true;
  }
  if (text.starts_with("resumed from ")) {
    auto step = number_after(text, " after step ");
    if (!step) step = number_after(text, " after round ");
    if (step) log.resumed_after.push_back(*step);
    return true;
  }
  if (text.starts_with("no restart: ")) log.given_up = true;
  if (text.starts_with("stopped by a signal")) {
    log.end = RunLog::End::kStopped;
    return true;
  }
  if (text.starts_with("the run is finished") || text.starts_with("the run ends after")) {
    log.end = RunLog::End::kFinished;
    return true;
  }
  return line.level == "warning" || line.level == "error";
}

void cut(std::vector<LogLine>& lines) {
  if (lines.size() <= kMostLines) return;
  lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kMostLines));
}

std::string end_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::uint64_t size = file_size(path);
  const std::uint64_t begin = size > kMostBytes ? size - kMostBytes : 0;
  file.seekg(static_cast<std::streamoff>(begin));
  std::string text(static_cast<std::size_t>(size - begin), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

LogLine failure_of(const std::string& path) {
  const Json file = read_json(path, ErrorKind::kData, {.bytes = 1U << 20});
  const std::string host = file.value("host", "");
  return {"", "error",
          format("rank {}{}: {}", file.at("rank").get<int>(), host.empty() ? "" : " on " + host,
                 file.at("message").get<std::string>().substr(0, kLongestText))};
}

bool names_failure(const std::string& name) {
  return name.starts_with("error.rank-") && name.ends_with(".json");
}

void add_failures(const std::string& logs, RunLog& log) {
  for (const std::string& name : names_in(logs)) {
    if (!names_failure(name)) continue;
    log.end = RunLog::End::kFailed;
    try {
      log.lines.push_back(failure_of(logs + "/" + name));
    } catch (const std::exception&) {  // a rank that died while it wrote
    }
  }
}

}  // namespace

RunLog parse_run_log(const std::string& text) {
  RunLog log;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = log_line(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    if (line && follow(*line, log)) log.lines.push_back(*line);
    if (log.lines.size() > 2 * kMostLines) cut(log.lines);
  }
  cut(log.lines);
  return log;
}

RunLog read_run_log(const std::string& run_dir) {
  const std::string logs = run_dir + "/logs";
  RunLog log;
  try {
    if (is_file(logs + "/rank-0.log")) log = parse_run_log(end_of_file(logs + "/rank-0.log"));
    if (is_folder(logs)) add_failures(logs, log);
  } catch (const Error&) {  // of a folder that may not be searched: what was read so far
  }
  return log;
}

}  // namespace moesaic
