// MetricFamilies: metrics on their way to Prometheus, a family a name, each with the label `job`.
#pragma once

#include <prometheus/metric_family.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace moesaic {

class MetricFamilies {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  explicit MetricFamilies(std::string job) : job_(std::move(job)) {}

  void gauge(const std::string& name, const std::string& help, double value,
             const Labels& labels = {});
  /// A name that ends in _total.
  void counter(const std::string& name, const std::string& help, double value,
               const Labels& labels = {});

  /// In the order of their names.
  std::vector<prometheus::MetricFamily> all() const;

 private:
  /// The new metric; nothing where one of that name and these labels is there: Prometheus would
  /// refuse both.
  prometheus::ClientMetric* add(const std::string& name, const std::string& help,
                                prometheus::MetricType type, const Labels& labels);

  std::string job_;
  std::map<std::string, prometheus::MetricFamily> families_;
  std::set<std::pair<std::string, Labels>> there_;
};

}  // namespace moesaic
