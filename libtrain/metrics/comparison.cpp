#include "metrics/comparison.h"

#include <filesystem>
#include <map>
#include <vector>

#include "core/error.h"
#include "core/path.h"

namespace moesaic::metrics {
namespace {

constexpr double kNormalTail = 1.959963984540054;  // of 95 % of a normal distribution

// By name: {"value", "low", "high"}.
using Measures = std::vector<std::pair<std::string, Json>>;

Json without_interval(const Json& value) {
  return {{"value", value}, {"low", nullptr}, {"high", nullptr}};
}

// A result with metrics has intervals; one of multiple choice has standard errors.
Measures measures_of(const Json& result) {
  Measures measures;
  if (result.contains("metrics")) {
    for (const auto& [name, metric] : result.at("metrics").items())
      measures.emplace_back(name, metric);
    return measures;
  }
  for (const char* const name : {"loss", "perplexity", "bits_per_byte", "acc", "acc_norm"}) {
    if (!result.contains(name)) continue;
    Json measure = without_interval(result.at(name));
    const std::string error = std::string(name) + "_stderr";
    if (result.contains(error)) {
      const double value = result.at(name), far = kNormalTail * result.at(error).get<double>();
      measure["low"] = value - far;
      measure["high"] = value + far;
    }
    measures.emplace_back(name, measure);
  }
  return measures;
}

void require_comparable(const Json& before, const Json& after) {
  for (const char* const key : {"task", "items", "documents"}) {
    const Json a = before.value(key, Json()), b = after.value(key, Json());
    if (a == b) continue;
    throw Error(ErrorKind::kData,
                format("{} is {} before and {} after: they do not measure the same", key,
                       printable(a.dump()), printable(b.dump())),
                "measure both with the same task, data and --limit");
  }
}

// What `moesaic eval --json` wrote.
Json read_result(const std::string& path) {
  Json result = read_json(path);
  const auto is_measure = [](const Json& measure) {
    const auto is = [&](const char* key, bool may_be_null) {
      const Json value = measure.value(key, Json());
      return value.is_number() || (may_be_null && value.is_null());
    };
    return measure.is_object() && is("value", false) && is("low", true) && is("high", true);
  };
  bool whole = result.is_object() && result.contains("task") && result["task"].is_string();
  if (whole && result.contains("metrics")) whole = result["metrics"].is_object();
  if (whole) {
    const Json metrics = result.value("metrics", Json::object());
    for (const auto& [name, measure] : metrics.items()) whole = whole && is_measure(measure);
    for (const char* const name : {"loss", "perplexity", "bits_per_byte", "acc", "acc_norm",
                                   "acc_stderr", "acc_norm_stderr"})
      whole = whole && (!result.contains(name) || result[name].is_number());
  }
  if (whole) return result;
  throw Error(ErrorKind::kData, format("{} is no result of `moesaic eval --json`", path),
              "write one with: moesaic eval ... --json > FILE");
}

// Path by name of the results at `path`: one file, whose name is "", or those of a folder.
std::map<std::string, std::string> results_at(const std::string& path) {
  namespace fs = std::filesystem;
  if (!is_folder(path)) return {{"", path}};
  std::map<std::string, std::string> found;
  std::error_code code;
  fs::directory_iterator folder(path, code);
  MOESAIC_CHECK(!code, ErrorKind::kData, "cannot read {}: {}", path, code.message());
  for (const fs::directory_entry& entry : folder) {
    if (entry.path().extension() == ".json") found[entry.path().stem().string()] = entry.path();
  }
  MOESAIC_CHECK(!found.empty(), ErrorKind::kData, "{} holds no NAME.json", path);
  return found;
}

void require_in(const std::map<std::string, std::string>& here, const std::string& folder,
                const std::string& name, const std::string& there) {
  if (here.contains(name)) return;
  throw Error(ErrorKind::kData, format("{} has no counterpart in {}", there, folder),
              "give two files, or two folders with the same names of files");
}

std::string digits(const Json& value) { return format("{:.6g}", value.get<double>()); }

std::string cell(const Json& measure) {
  if (!measure.at("value").is_number()) return "-";
  std::string text = digits(measure.at("value"));
  if (measure.at("low").is_number() && measure.at("high").is_number())
    text.append(format(" ({} to {})", digits(measure.at("low")), digits(measure.at("high"))));
  return text;
}

std::string change_cell(const Json& row) {
  std::string text = format("{:+.6g}", row.at("change").get<double>());
  if (row.contains("change_low") && row.at("change_low").is_number())
    text.append(format(" ({} to {})", digits(row.at("change_low")), digits(row.at("change_high"))));
  return text;
}

// Of two statistics, both of the same set of items.
class Change : public Statistic {
 public:
  Change(const Statistic& before, const Statistic& after) : before_(before), after_(after) {}

  double value(Sample sample) const override {
    return after_.value(sample) - before_.value(sample);
  }

 private:
  const Statistic &before_, &after_;
};

const Statistic* find_statistic(const Measurement& measurement, const std::string& name) {
  for (const auto& [known, statistic] : measurement.statistics)
    if (known == name) return statistic.get();
  return nullptr;
}

// Of the row's measure before, after, and its change. An interval that is there already stays.
void add_paired_intervals(const Measurement& before, const Measurement& after,
                          const BootstrapOptions& draws, Json& row) {
  const std::string metric = row.at("metric");
  const Statistic* then = find_statistic(before, metric);
  const Statistic* now = find_statistic(after, metric);
  const bool paired = then != nullptr && now != nullptr && before.items == after.items;
  if (!paired || before.items < 2 || draws.samples == 0) return;
  const Change change(*then, *now);
  const std::vector<Interval> intervals = bootstrap({then, now, &change}, before.items, draws);
  const auto set = [](Json& into, const std::string& prefix, const Interval& interval) {
    if (!into.at(prefix + "low").is_null()) return;
    into[prefix + "low"] = interval.low;
    into[prefix + "high"] = interval.high;
  };
  set(row["before"], "", intervals[0]);
  set(row["after"], "", intervals[1]);
  set(row, "change_", intervals[2]);
}

}  // namespace

Json compare_results(const Json& before, const Json& after, const std::string& name) {
  require_comparable(before, after);
  std::map<std::string, Json> later;
  for (const auto& [metric, measure] : measures_of(after)) later[metric] = measure;
  Json rows = Json::array();
  for (const auto& [metric, measure] : measures_of(before)) {
    const auto found = later.find(metric);
    if (found == later.end()) continue;
    const double now = found->second.at("value"), then = measure.at("value");
    rows.push_back({{"name", name},
                    {"task", before.at("task")},
                    {"metric", metric},
                    {"before", measure},
                    {"after", found->second},
                    {"change", now - then}});
  }
  return {{"rows", rows}};
}

Json compare_measurements(const Measurement& before, const Measurement& after,
                          const BootstrapOptions& draws, const std::string& name) {
  Json comparison = compare_results(before.result, after.result, name);
  for (Json& row : comparison["rows"]) {
    row["change_low"] = row["change_high"] = nullptr;
    add_paired_intervals(before, after, draws, row);
  }
  return comparison;
}

Json compare_paths(const std::string& before, const std::string& after) {
  const std::map<std::string, std::string> first = results_at(before), second = results_at(after);
  for (const auto& [name, path] : second) require_in(first, before, name, path);
  Json rows = Json::array();
  for (const auto& [name, path] : first) {
    require_in(second, after, name, path);
    try {
      const Json compared = compare_results(read_result(path), read_result(second.at(name)), name);
      rows.insert(rows.end(), compared.at("rows").begin(), compared.at("rows").end());
    } catch (const Error& error) {
      throw Error(error.kind(), format("{} against {}: {}", path, second.at(name), error.what()),
                  error.hint());
    }
  }
  return {{"rows", rows}};
}

std::string comparison_markdown(const Json& comparison) {
  std::string text = "| data | task | metric | before | after | change |\n";
  text.append("| --- | --- | --- | ---: | ---: | ---: |\n");
  for (const Json& row : comparison.at("rows")) {
    text.append(format("| {} | {} | {} | {} | {} | {} |\n", row.at("name").get<std::string>(),
                       row.at("task").get<std::string>(), row.at("metric").get<std::string>(),
                       cell(row.at("before")), cell(row.at("after")), change_cell(row)));
  }
  return text;
}

}  // namespace moesaic::metrics
