#include "metrics/evaluation.h"

#include <algorithm>
#include <map>

#include "core/error.h"

namespace moesaic::metrics {
namespace {

using Names = std::vector<std::string>;

const Names& metrics_of(const std::string& task) {
  static const std::map<std::string, Names> kMetrics = {
      {"generation", {"exact_match", "bleu", "rouge_l", "chrf"}},
      {"classification", {"accuracy", "precision", "recall", "f1"}},
      {"cases", {"case_accuracy"}}};
  return kMetrics.at(task);
}

// Those that were asked for, once each.
Names wanted_metrics(const Evaluation::Options& options) {
  const Names& known = metrics_of(options.task);
  if (options.metrics.empty()) return known;
  Names wanted;
  for (const std::string& name : options.metrics) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw Error(ErrorKind::kUsage,
                  format("--metrics {}: --task {} has no such metric", name, options.task),
                  format("it has {}", join(known, ", ")));
    }
    if (std::find(wanted.begin(), wanted.end(), name) == wanted.end()) wanted.push_back(name);
  }
  return wanted;
}

std::string metric_line(const std::string& name, const Json& metric) {
  const std::string value = format("{:.6g}", metric.at("value").get<double>());
  if (metric.at("low").is_null()) return format("{:16}{}\n", name, value);
  return format("{:16}{:12}{:.6g} to {:.6g}\n", name, value, metric.at("low").get<double>(),
                metric.at("high").get<double>());
}

}  // namespace

Evaluation::Evaluation(const Options& options) : options_(options) {
  options_.metrics = wanted_metrics(options);
  for (const std::string& name : options_.metrics) metrics_.push_back(make_metric(name));
  if (options.task == "classification") labels_.emplace();
}

void Evaluation::add(const Answer& answer) {
  for (const auto& metric : metrics_) metric->add(answer);
  if (labels_) labels_->add(answer.expected.at(0), answer.prediction);
  ++items_;
}

Json Evaluation::result() const {
  const auto items = static_cast<std::size_t>(items_);
  const std::vector<std::uint32_t> once(items, 1);
  std::vector<Interval> intervals;
  if (options_.bootstrap.samples > 0) {
    std::vector<const Statistic*> statistics;
    for (const auto& metric : metrics_) statistics.push_back(metric.get());
    intervals = bootstrap(statistics, items, options_.bootstrap);
  }
  Json values = Json::object();
  for (std::size_t m = 0; m < metrics_.size(); ++m) {
    Json& metric = values[options_.metrics[m]];
    metric = {{"value", metrics_[m]->value(once)}, {"low", nullptr}, {"high", nullptr}};
    if (intervals.empty()) continue;
    metric["low"] = intervals[m].low;
    metric["high"] = intervals[m].high;
  }
  Json result = {{"task", options_.task}, {"items", items_}, {"metrics", values}};
  if (!labels_) return result;
  const std::vector<Labels::Scores> scores = labels_->scores(once);
  Json& classes = result["per_class"] = Json::object();
  for (const auto& [label, number] : labels_->names()) {
    const Labels::Scores& s = scores[number];
    classes[label] = {
        {"precision", s.precision}, {"recall", s.recall}, {"f1", s.f1}, {"support", s.support}};
  }
  return result;
}

Measurement Evaluation::measurement() const {
  Measurement measurement{.result = result(), .items = static_cast<std::size_t>(items_)};
  for (std::size_t m = 0; m < metrics_.size(); ++m)
    measurement.statistics.emplace_back(options_.metrics[m], metrics_[m]);
  return measurement;
}

std::string evaluation_text(const Json& result) {
  std::string text = format("{:16}{}\n{:16}{}\n", "task", result.at("task").get<std::string>(),
                            "items", result.at("items").get<std::int64_t>());
  for (const auto& [name, metric] : result.at("metrics").items()) text += metric_line(name, metric);
  if (!result.contains("per_class")) return text;
  const Json& classes = result.at("per_class");
  std::size_t width = 16;
  for (const auto& [label, scores] : classes.items()) width = std::max(width, label.size() + 2);
  text +=
      format("\n{:{}}{:12}{:12}{:12}{}\n", "class", width, "precision", "recall", "f1", "support");
  for (const auto& [label, scores] : classes.items()) {
    text += format("{:{}}{:<12.6g}{:<12.6g}{:<12.6g}{}\n", label, width,
                   scores.at("precision").get<double>(), scores.at("recall").get<double>(),
                   scores.at("f1").get<double>(), scores.at("support").get<std::int64_t>());
  }
  return text;
}

}  // namespace moesaic::metrics
