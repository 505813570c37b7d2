#include "observe/restart_log.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <optional>
#include <string_view>

#include "core/fs.h"
#include "core/json.h"
#include "core/path.h"

namespace moesaic {
namespace {

constexpr std::uint64_t kMostRestartBytes = 4U << 20;  // of the file, its end
constexpr std::size_t kMostRestarts = 1000;
constexpr std::size_t kLongestWords = 1000;

// "" where there is none, or null.
std::string words_in(const Json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end() || found->is_null()) return "";
  return found->get<std::string>().substr(0, kLongestWords);
}

// Nothing for a line that tells of no restart.
std::optional<Restart> restart_in(std::string_view line) {
  try {
    const Json found = parse_json(line, "restart");
    return Restart{.time = words_in(found, "time"),
                   .kind = words_in(found, "kind"),
                   .step = found.at("step").get<std::int64_t>(),
                   .rank = found.value("rank", std::int64_t{-1}),
                   .host = words_in(found, "host"),
                   .message = words_in(found, "message"),
                   .checkpoint = words_in(found, "checkpoint")};
  } catch (const std::exception&) {  // another version's, or the end of a file that was cut off
    return std::nullopt;
  }
}

// The newest part of a long file, from the beginning of a line on.
std::string newest_lines(const std::string& path) {
  const std::uint64_t size = file_size(path);
  if (size <= kMostRestartBytes) return read_from(path, 0, ErrorKind::kData, 2 * kMostRestartBytes);
  std::string text =
      read_from(path, size - kMostRestartBytes, ErrorKind::kData, 2 * kMostRestartBytes);
  return text.substr(std::min(text.find('\n'), text.size() - 1) + 1);
}

}  // namespace

RestartLog read_restarts(const std::string& run_dir) {
  const std::string path = run_dir + "/restarts.jsonl";
  RestartLog log;
  if (!is_file(path)) return log;
  const std::string text = newest_lines(path);
  std::size_t damaged = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    auto restart = restart_in(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    if (restart)
      log.restarts.push_back(std::move(*restart));
    else
      ++damaged;
  }
  if (damaged > 0)
    log.remarks.push_back(format("{} lines of {} tell of no restart: left out", damaged, path));
  if (log.restarts.size() > kMostRestarts) {
    log.remarks.push_back(
        format("of {} restarts only the last {} are shown", log.restarts.size(), kMostRestarts));
    log.restarts.erase(log.restarts.begin(),
                       log.restarts.end() - static_cast<std::ptrdiff_t>(kMostRestarts));
  }
  return log;
}

}  // namespace moesaic
