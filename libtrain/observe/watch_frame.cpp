#include "observe/watch_frame.h"

#include <algorithm>

#include "core/clock.h"
#include "metrics/task_file.h"
#include "observe/sparkline.h"

namespace moesaic {
namespace {

constexpr std::size_t kLabel = 18;  // columns
constexpr std::size_t kValue = 12;
constexpr std::size_t kMostHeight = 4;  // of a curve
constexpr std::size_t kMostLayers = 8;
constexpr double kQuiet = 10;  // seconds after which a silent run is mentioned
constexpr const char* kBold = "\x1b[1m";
constexpr const char* kBlue = "\x1b[34m";
constexpr const char* kRed = "\x1b[31m";
constexpr const char* kYellow = "\x1b[33m";
constexpr const char* kNormal = "\x1b[0m";

// Values with curves, the most telling first; then the losses of silos.
constexpr const char* kCurves[] = {"loss",         "valid_loss", "valid_accuracy", "grad_norm",
                                   "tokens_per_s", "epsilon",    "learning_rate",  "max_violation"};

class Frame {
 public:
  Frame(const RunView& run, const WatchOptions& options) : run_(run), options_(options) {}

  std::vector<std::string> lines(std::optional<double> quiet_s) {
    add(title(), kBold);
    add(numbers(quiet_s));
    add_notes();
    const std::vector<std::string> below = modes();
    add_curves(below.size());
    for (const std::string& line : below) add(line);
    const std::size_t room = options_.rows - (options_.footer.empty() ? 0 : 1);
    lines_.resize(std::min(lines_.size(), room));
    if (!options_.footer.empty()) add(options_.footer);
    return std::move(lines_);
  }

 private:
  const RunMetrics& metrics() const { return run_.metrics(); }

  // `text` is of characters that take one column each.
  void add(const std::string& text, const char* color = "") {
    std::string shown = cut(text);
    if (options_.color && *color != '\0') shown = color + shown + kNormal;
    lines_.push_back(shown);
  }

  std::string cut(const std::string& text) const {
    std::size_t columns = 0, end = 0;
    for (; end < text.size(); ++end) {
      const bool begins = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
      if (begins && columns++ == options_.columns) break;
    }
    return text.substr(0, end);
  }

  std::string title() const {
    const std::int64_t step = metrics().newest().step;
    std::string text = format("{}: {}, step {}", printable(run_.name(), 40), run_.state(), step);
    if (!run_.last_step || *run_.last_step <= 0) return text;
    const double share = static_cast<double>(step) / static_cast<double>(*run_.last_step);
    text += format("/{} ({:.0f} %)", *run_.last_step, 100 * share);
    const std::optional<double> pace = seconds_per_step();
    if (pace && !run_.has_ended())
      text += format(", left {}",
                     readable_duration(*pace * static_cast<double>(*run_.last_step - step)));
    return text;
  }

  std::optional<double> seconds_per_step() const {
    const MetricsRow& row = metrics().newest();
    const double *tokens = row.find("tokens"), *rate = row.find("tokens_per_s");
    if (tokens != nullptr && rate != nullptr && *rate > 0 && row.step > 0)
      return *tokens / static_cast<double>(row.step) / *rate;
    const double* seconds = row.find("step_s");
    return seconds != nullptr ? std::optional(*seconds) : std::nullopt;
  }

  std::string numbers(std::optional<double> quiet_s) const {
    std::string text;
    const auto add_number = [&](const char* name, const char* label) {
      const double* value = metrics().newest().find(name);
      if (value != nullptr) text += format("{}{} {:.5g}", text.empty() ? "" : "  ", label, *value);
    };
    add_number("tokens_per_s", "tokens/s");
    add_number("step_s", "step s");
    add_number("memory_peak_mb", "memory MB");
    add_number("dead_experts", "dead experts");
    add_number("task", "task");
    add_number("round", "round");
    if (run_.log().starts > 1) text += format("  starts {}", run_.log().starts);
    if (!run_.restarts().empty()) text += format("  restarts {}", run_.restarts().size());
    if (quiet_s && *quiet_s > kQuiet && !run_.has_ended())
      text += format("  no row for {}", readable_duration(*quiet_s));
    return metrics().rows() == 0 ? "no row of metrics yet" : text;
  }

  void add_notes() {
    for (const std::string& remark : run_.remarks()) add(printable(remark, 400), kYellow);
    const std::vector<LogLine>& log = run_.log().lines;
    const auto last = std::find_if(log.rbegin(), log.rend(),
                                   [](const LogLine& line) { return line.level != "info"; });
    if (last == log.rend()) return;
    const bool error = last->level == "error";
    add(format("{}: {}", error ? "error" : "warning", printable(last->text, 400)),
        error ? kRed : kYellow);
  }

  std::vector<std::string> curve_names() const {
    std::vector<std::string> names;
    for (const char* name : kCurves) {
      if (metrics().find(name) != nullptr) names.push_back(name);
    }
    for (const std::string& name : metrics().names()) {
      if (name.starts_with("silo_") && name.ends_with("_loss")) names.push_back(name);
    }
    return names;
  }

  // In the rows that are left, with `below` lines after them.
  void add_curves(std::size_t below) {
    std::vector<std::string> names = curve_names();
    const std::size_t taken = lines_.size() + below + (options_.footer.empty() ? 0 : 1);
    const std::size_t room = options_.rows > taken ? options_.rows - taken : 0;
    names.resize(std::min(names.size(), room));
    if (names.empty() || options_.columns <= kLabel + kValue) return;
    const std::size_t height = std::clamp<std::size_t>(room / names.size(), 1, kMostHeight);
    for (const std::string& name : names) add_curve(name, height);
  }

  void add_curve(const std::string& name, std::size_t height) {
    const ThinnedCurve& curve = *metrics().find(name);
    const std::size_t width = options_.columns - kLabel - kValue;
    const auto drawn = sparkline(curve.points(8 * width), width, height);
    const std::string value = curve.count() > 0 ? format("{:.5g}", curve.last().value) : "-";
    for (std::size_t i = 0; i < height; ++i) {
      const bool last = i + 1 == height;
      const std::string label = last ? printable(name, kLabel - 4) : "";
      const std::string line = options_.color ? kBlue + drawn[i] + kNormal : drawn[i];
      lines_.push_back(format("{:<{}}{}{:>{}}", label, kLabel, line, last ? value : "", kValue));
    }
  }

  std::vector<std::string> modes() const {
    std::vector<std::string> lines = load_lines();
    if (run_.tasks()) {
      lines.push_back(printable(heading_text(*run_.tasks()), 400));
      for (std::size_t row = 0; row < run_.tasks()->rows.size(); ++row)
        lines.push_back(printable(row_text(*run_.tasks(), row), 400));
    }
    lines.resize(std::min(lines.size(), options_.rows / 2));
    return lines;
  }

  std::vector<std::string> load_lines() const {
    const LoadHistory::Column column = LoadHistory::column_of(metrics().newest());
    std::vector<std::string> lines;
    for (std::size_t layer = 0; layer < std::min(column.size(), kMostLayers); ++layer) {
      const double twice = 2 / static_cast<double>(column[layer].size());  // the even share
      const std::size_t room = options_.columns > kLabel ? options_.columns - kLabel : 0;
      lines.push_back(format("{:<{}}", format("load, layer {}", layer), kLabel) +
                      bars(column[layer], twice, room));
    }
    return lines;
  }

  const RunView& run_;
  WatchOptions options_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> watch_frame(const RunView& run, std::optional<double> quiet_s,
                                     const WatchOptions& options) {
  if (options.rows == 0) return {};
  return Frame(run, options).lines(quiet_s);
}

}  // namespace moesaic
