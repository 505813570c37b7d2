#include "monitor/metric_families.h"

#include "core/json.h"

namespace moesaic {
namespace {

/// Prometheus refuses everything where one label is no UTF-8, as a path may be.
std::string utf8(const std::string& text) {
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(quoted).get<std::string>();
}

}  // namespace

prometheus::ClientMetric* MetricFamilies::add(const std::string& name, const std::string& help,
                                              prometheus::MetricType type, const Labels& labels) {
  if (!there_.emplace(name, labels).second) return nullptr;
  prometheus::MetricFamily& family = families_[name];
  family.name = name;
  family.help = help;
  family.type = type;
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label.push_back({"job", utf8(job_)});
  for (const auto& [label, value] : labels) metric.label.push_back({label, utf8(value)});
  return &metric;
}

void MetricFamilies::gauge(const std::string& name, const std::string& help, double value,
                           const Labels& labels) {
  if (auto* metric = add(name, help, prometheus::MetricType::Gauge, labels))
    metric->gauge.value = value;
}

void MetricFamilies::counter(const std::string& name, const std::string& help, double value,
                             const Labels& labels) {
  if (auto* metric = add(name, help, prometheus::MetricType::Counter, labels))
    metric->counter.value = value;
}

std::vector<prometheus::MetricFamily> MetricFamilies::all() const {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [name, family] : families_) families.push_back(family);
  return families;
}

}  // namespace moesaic
