#include "metrics/comparison.h"

#include <filesystem>
#include <map>
#include <vector>

#include "core/error.h"

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
  if (!fs::is_directory(path)) return {{"", path}};
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

std::string cell(const Json& measure) {
  const auto digits = [](const Json& value) { return format("{:.6g}", value.get<double>()); };
  if (!measure.at("value").is_number()) return "-";
  std::string text = digits(measure.at("value"));
  if (measure.at("low").is_number() && measure.at("high").is_number())
    text.append(format(" ({} to {})", digits(measure.at("low")), digits(measure.at("high"))));
  return text;
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
    text.append(format("| {} | {} | {} | {} | {} | {:+.6g} |\n", row.at("name").get<std::string>(),
                       row.at("task").get<std::string>(), row.at("metric").get<std::string>(),
                       cell(row.at("before")), cell(row.at("after")),
                       row.at("change").get<double>()));
  }
  return text;
}

}  // namespace moesaic::metrics
