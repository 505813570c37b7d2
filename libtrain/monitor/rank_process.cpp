#include "monitor/rank_process.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "core/format.h"

namespace moesaic {
namespace {

constexpr const char* kWorker = "moesaic-worker";

/// The line of /proc/<pid>/stat: the name, which may hold anything, and the fields after it.
struct ProcessLine {
  std::string name;
  std::vector<std::string> fields;  // [0] is the third of proc(5)

  double number(std::size_t place) const {
    return place - 3 < fields.size() ? std::atof(fields[place - 3].c_str()) : 0;
  }
};

std::string whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<ProcessLine> process_line(const std::string& path) {
  const std::string text = whole_file(path);
  const std::size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return std::nullopt;
  ProcessLine line{.name = text.substr(open + 1, close - open - 1), .fields = {}};
  std::istringstream rest(text.substr(close + 1));
  for (std::string field; rest >> field;) line.fields.push_back(field);
  if (line.fields.empty()) return std::nullopt;
  return line;
}

std::optional<double> bytes_named(const std::string& name, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name)) return std::atof(line.c_str() + name.size());
  return std::nullopt;
}

}  // namespace

std::optional<RankProcess> rank_process(std::int64_t pid, const std::string& proc) {
  const std::string folder = format("{}/{}", proc, pid);
  const auto line = process_line(folder + "/stat");
  if (!line || !line->name.starts_with(kWorker)) return std::nullopt;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  const std::string disk = whole_file(folder + "/io");
  return RankProcess{.state = line->fields[0][0],
                     .cpu_s = (line->number(14) + line->number(15)) / ticks,
                     .resident_bytes = line->number(24) * page,
                     .threads = line->number(20),
                     .read_bytes = bytes_named("read_bytes: ", disk),
                     .written_bytes = bytes_named("write_bytes: ", disk)};
}

}  // namespace moesaic
