#include "observe/report_data.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "core/version.h"
#include "observe/report_charts.h"

namespace moesaic {
namespace {

constexpr std::string_view kLevels =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr double kLevelsPerPower = 10;

// Seven digits are more than a screen shows.
double rounded(double value) { return std::strtod(format("{:.7g}", value).c_str(), nullptr); }

Json curve_json(const std::string& name, const ThinnedCurve& curve, std::size_t most_points) {
  Json steps = Json::array(), values = Json::array();
  for (const CurvePoint& point : curve.points(most_points)) {
    steps.push_back(point.step);
    values.push_back(rounded(point.value));
  }
  return {{"name", name},
          {"steps", std::move(steps)},
          {"values", std::move(values)},
          {"lost", {curve.not_finite(), curve.first_not_finite()}}};
}

Json loads_json(const RunMetrics& metrics, std::size_t most_cells) {
  LoadHistory loads = metrics.loads();
  if (loads.empty()) return nullptr;
  loads.keep(most_cells / (loads.layers() * loads.experts()));
  Json cells = Json::array();
  for (std::size_t i = 0; i < loads.size(); ++i) cells.push_back(load_cells(loads.column(i)));
  return {{"last", metrics.newest().step},
          {"layers", loads.layers()},
          {"experts", loads.experts()},
          {"columns", loads.size()},
          {"cells", std::move(cells)}};
}

Json log_json(const RunLog& log) {
  Json lines = Json::array();
  for (const LogLine& line : log.lines)
    lines.push_back({{"time", line.time}, {"level", line.level}, {"text", line.text}});
  return lines;
}

Json restarts_json(const std::vector<Restart>& restarts) {
  Json all = Json::array();
  for (const Restart& restart : restarts)
    all.push_back({{"time", restart.time},
                   {"kind", restart.kind},
                   {"step", restart.step},
                   {"rank", restart.rank},
                   {"host", restart.host},
                   {"message", restart.message},
                   {"checkpoint", restart.checkpoint}});
  return all;
}

// Names of folders; equal ones get numbers.
std::vector<std::string> names_of(const std::vector<RunView>& runs) {
  std::map<std::string, int> seen;
  std::vector<std::string> names;
  for (const RunView& run : runs) {
    const int count = ++seen[run.name()];
    names.push_back(count == 1 ? run.name() : format("{} ({})", run.name(), count));
  }
  return names;
}

std::size_t curves_of(const std::vector<RunView>& runs) {
  std::size_t curves = 0;
  for (const RunView& run : runs) curves += run.metrics().names().size();
  return std::max<std::size_t>(1, curves);
}

std::string shown_recipe(const RunView& run, std::size_t most, std::vector<std::string>& remarks) {
  if (run.recipe().size() <= most) return run.recipe();
  remarks.push_back(format("only the first {} bytes of the recipe are shown", most));
  return run.recipe().substr(0, most);
}

class RunJson {
 public:
  RunJson(const RunView& run, const std::string& name, const ReportLimits& of_this_run)
      : run_(run), limits_(of_this_run), remarks_(run.remarks()) {
    json_ = {{"name", name},
             {"folder", run.folder()},
             {"state", run.state()},
             {"step", run.metrics().newest().step},
             {"last_step", run.last_step ? Json(*run.last_step) : Json()},
             {"rows", run.metrics().rows()},
             {"starts", run.log().starts},
             {"resumed", run.log().resumed_after},
             {"restarts", restarts_json(run.restarts())},
             {"recipe", shown_recipe(run, limits_.recipe_bytes, remarks_)},
             {"loads", loads_json(run.metrics(), limits_.load_cells)},
             {"log", log_json(run.log())}};
    add_curves();
    add_tasks();
    if (run.metrics().rows() == 0) remarks_.push_back("there is no row of metrics yet");
    json_["remarks"] = remarks_;
  }

  Json take() { return std::move(json_); }

 private:
  void add_curves() {
    Json& curves = json_["curves"] = Json::array();
    for (const std::string& name : run_.metrics().names())
      curves.push_back(curve_json(name, *run_.metrics().find(name), limits_.points));
  }

  void add_tasks() {
    Json& tasks = json_["tasks"];
    if (!run_.tasks()) return;
    if (run_.tasks()->tasks.size() <= limits_.tasks)
      tasks = run_.tasks_file();
    else
      remarks_.push_back(format("the matrix of more than {} tasks is not shown", limits_.tasks));
  }

  const RunView& run_;
  ReportLimits limits_;
  std::vector<std::string> remarks_;
  Json json_;
};

}  // namespace

char level_of_load(double times) {
  if (!(times > 0)) return kLevels[0];
  const double power = std::clamp(std::log2(times), -kMostLoadPower, kMostLoadPower);
  return kLevels[1 +
                 static_cast<std::size_t>(std::lround((power + kMostLoadPower) * kLevelsPerPower))];
}

double power_of_level(char level) {
  const std::size_t place = kLevels.find(level);
  if (place == 0 || place == std::string_view::npos)
    return -std::numeric_limits<double>::infinity();
  return static_cast<double>(place - 1) / kLevelsPerPower - kMostLoadPower;
}

std::string load_cells(const LoadHistory::Column& column) {
  std::string cells;
  for (const std::vector<double>& shares : column) {
    for (const double share : shares)
      cells += level_of_load(share * static_cast<double>(shares.size()));
  }
  return cells;
}

Json report_data(const std::vector<RunView>& runs, const std::vector<RecipeDifference>& differences,
                 const ReportLimits& limits) {
  ReportLimits each = limits;
  each.points = std::max(limits.least_points, limits.points / curves_of(runs));
  each.load_cells /= std::max<std::size_t>(1, runs.size());
  each.recipe_bytes /= std::max<std::size_t>(1, runs.size());
  Json data = {{"version", build_versions().front().second},
               {"runs", Json::array()},
               {"differences", Json::array()}};
  const std::vector<std::string> names = names_of(runs);
  for (std::size_t i = 0; i < runs.size(); ++i)
    data["runs"].push_back(RunJson(runs[i], names[i], each).take());
  data["charts"] = report_charts(data["runs"]);
  for (const RecipeDifference& difference : differences) {
    Json values = Json::array();
    for (const std::string& value : difference.values)
      values.push_back(value.empty() ? Json() : Json(value));
    data["differences"].push_back({{"key", difference.key}, {"values", std::move(values)}});
  }
  return data;
}

}  // namespace moesaic
