// Evaluation: the metrics of a task over the answers that come in, and how they are told.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "metrics/bootstrap.h"
#include "metrics/metric.h"

namespace moesaic::metrics {

class Evaluation {
 public:
  struct Options {
    std::string task;                  // generation | classification | cases
    std::vector<std::string> metrics;  // none: all of the task
    BootstrapOptions bootstrap;        // no samples: no intervals
  };

  /// Error(kUsage) for a metric that is none of the task.
  explicit Evaluation(const Options& options);

  /// Error(kData) for what a metric cannot judge.
  void add(const Answer& answer);

  std::int64_t items() const { return items_; }

  /// {"task", "items", "metrics": {name: {"value", "low", "high"}}}, for classification with
  /// "per_class": {label: {"precision", "recall", "f1", "support"}}. Without intervals low and high
  /// are null. At least one item must be there.
  Json result() const;
  /// The same with the metrics, item by item.
  Measurement measurement() const;

 private:
  Options options_;
  std::vector<std::shared_ptr<Metric>> metrics_;  // in the order of options_.metrics
  std::optional<Labels> labels_;                  // of a classification
  std::int64_t items_ = 0;
};

/// A result as people read it: six digits.
std::string evaluation_text(const Json& result);

}  // namespace moesaic::metrics
