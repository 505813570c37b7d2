#include "observe/console_sink.h"

#include <stdio_ext.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "core/format.h"
#include "core/standard_streams.h"

namespace moesaic {
namespace {

constexpr const char* kClearLine = "\r\x1b[K";
constexpr const char* kGreen = "\x1b[32m";
constexpr const char* kPlain = "\x1b[0m";

std::string column(const MetricsRow& row, const char* name, const char* label,
                   const char* pattern) {
  const double* value = row.find(name);
  if (value == nullptr) return "";
  return format("  {} ", label) + fmt::format(fmt::runtime(pattern), *value);
}

}  // namespace

std::string to_console_line(const MetricsRow& row, std::int64_t max_steps,
                            const std::string& remaining) {
  const std::string last = max_steps > 0 ? format("{}", max_steps) : "";
  const std::size_t width = std::max<std::size_t>(last.size(), max_steps > 0 ? 1 : 8);
  std::string line = format("step {:>{}}", row.step, width);
  if (!last.empty()) line += "/" + last;
  line += column(row, "loss", "loss", "{:<7.4f}");
  line += column(row, "learning_rate", "lr", "{:.2e}");
  line += column(row, "tokens_per_s", "tokens/s", "{:>7.0f}");
  if (!remaining.empty()) line += format("  left {:>7}", remaining);
  line += column(row, "valid_loss", "valid", "{:.4f}");
  line += column(row, "valid_accuracy", "accuracy", "{:.4f}");
  return line;
}

void ConsoleSink::write(const MetricsRow& row) {
  const std::string line = to_console_line(row, options_.max_steps, remaining(row));
  const bool evaluated = row.find("valid_loss") != nullptr;
  draw(line, evaluated || row.step == options_.max_steps, evaluated ? kGreen : "");
}

// The first row has none before it to take the pace from; its own step is the best that is known.
std::string ConsoleSink::remaining(const MetricsRow& row) {
  progress_.update(row.step, clock_.seconds());
  if (options_.max_steps <= 0) return "";
  std::optional<double> seconds = progress_.remaining_seconds(options_.max_steps);
  const double* step_seconds = row.find("step_s");
  if (!seconds && step_seconds != nullptr) {
    seconds = *step_seconds * static_cast<double>(options_.max_steps - row.step);
  }
  return seconds ? readable_duration(*seconds) : "";
}

void ConsoleSink::draw(const std::string& text, bool stays, const char* color) {
  if (!options_.terminal) {
    put(text + "\n");
    return;
  }
  const std::size_t room = static_cast<std::size_t>(std::max(1, options_.columns - 1));
  const bool colored = options_.color && *color != '\0';
  const std::string shown = stays ? text : text.substr(0, room);
  put(kClearLine + (colored ? color + shown + kPlain : shown));
  open_ = true;
  if (stays) end_line();
}

void ConsoleSink::end_line() {
  if (!open_) return;
  put("\n");
  open_ = false;
}

void ConsoleSink::put(const std::string& text) {
  if (lost_) return;
  const bool all = std::fputs(text.c_str(), options_.out) >= 0;
  if (all && std::fflush(options_.out) == 0) return;
  lost_ = true;
  options_.log.warn("{}", console_lost(errno));
  __fpurge(options_.out);  // the loss is told: the end of the program finds nothing unwritten
  std::clearerr(options_.out);
}

}  // namespace moesaic
