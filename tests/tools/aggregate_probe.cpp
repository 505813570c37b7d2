// aggregate_probe: rules of libtrain/aggregate on numbers from a file, for the comparison with
// NumPy and Flower. Reads {"options": {...}, "rounds": [{"reports": [...], "changes": [[...],
// ...]}]} or
// {"lora": WAY, "rank": R, "weights": [...], "silos": [{"b": [[...]], "a": [[...]]}]}; prints JSON.
#include <cstdio>
#include <span>

#include "aggregate/aggregator.h"
#include "aggregate/lora_factors.h"
#include "core/json.h"

namespace {

using namespace moesaic;
using namespace moesaic::aggregate;

AggregatorOptions options_of(const Json& json) {
  AggregatorOptions options;
  options.type = json.value("type", options.type);
  options.weights = json.value("weights", options.weights);
  options.learning_rate = json.value("learning_rate", options.learning_rate);
  options.momentum = json.value("momentum", options.momentum);
  options.beta_1 = json.value("beta_1", options.beta_1);
  options.beta_2 = json.value("beta_2", options.beta_2);
  options.tau = json.value("tau", options.tau);
  options.f = json.value("f", options.f);
  if (json.contains("keep")) options.keep = json.at("keep").get<std::int64_t>();
  options.trim = json.value("trim", options.trim);
  options.bound = json.value("bound", options.bound);
  return options;
}

std::vector<SiloReport> reports_of(const Json& json) {
  std::vector<SiloReport> reports;
  for (const Json& report : json)
    reports.push_back({.silo = report.at("silo").get<std::string>(),
                       .examples = report.at("examples").get<double>(),
                       .steps = report.value("steps", 1.0),
                       .rate_sum = report.value("rate_sum", 1.0)});
  return reports;
}

Json rounds(const Json& json) {
  const Json& all = json.at("rounds");
  Aggregator rule(options_of(json.at("options")), all.at(0).at("reports").size());
  Json results = Json::array();
  for (const Json& round : all) {
    const auto changes = round.at("changes").get<std::vector<std::vector<double>>>();
    const std::vector<std::span<const double>> rows(changes.begin(), changes.end());
    rule.begin_round(reports_of(round.at("reports")), round.value("refused", std::size_t{0}));
    if (rule.looks_first()) {
      rule.look("w", rows);
      rule.end_look();
    }
    std::vector<double> out(changes[0].size());
    rule.step("w", 0, rows, out);
    results.push_back(out);
  }
  return results;
}

Matrix matrix_of(const Json& json) {
  Matrix matrix(json.size(), json.at(0).size());
  for (std::size_t i = 0; i < matrix.rows; ++i)
    for (std::size_t j = 0; j < matrix.columns; ++j)
      matrix.at(i, j) = json.at(i).at(j).get<double>();
  return matrix;
}

Json rows_of(const Matrix& matrix) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    const auto row = std::span(matrix.values).subspan(i * matrix.columns, matrix.columns);
    rows.push_back(std::vector<double>(row.begin(), row.end()));
  }
  return rows;
}

/// What is added to the weight: base and adapter together.
Json lora(const Json& json) {
  std::vector<LoraFactors> silos;
  for (const Json& silo : json.at("silos"))
    silos.push_back({matrix_of(silo.at("b")), matrix_of(silo.at("a"))});
  const auto weights = json.at("weights").get<std::vector<double>>();
  const LoraAggregate found = aggregate_lora(json.at("lora").get<std::string>(), silos, weights,
                                             json.value("rank", std::size_t{1}));
  Matrix sum = product(found.adapter.b, found.adapter.a);
  const Matrix base = product(found.base.b, found.base.a);
  for (std::size_t i = 0; i < base.values.size(); ++i) sum.values[i] += base.values[i];
  return rows_of(sum);
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count != 2) throw Error(ErrorKind::kUsage, "aggregate_probe FILE.json");
    const Json json = read_json(arguments[1]);
    std::puts((json.contains("lora") ? lora(json) : rounds(json)).dump().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
