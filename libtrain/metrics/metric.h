// Metric: a statistic of the answers to a set of items. What it needs to know of an item is found
// out once.
#pragma once

#include <memory>
#include <string>

#include "metrics/answer.h"
#include "metrics/statistic.h"

namespace moesaic::metrics {

class Metric : public Statistic {
 public:
  /// The next item. Error(kData) for what the metric cannot judge.
  virtual void add(const Answer& answer) = 0;
};

/// exact_match | bleu | rouge_l | chrf | accuracy | precision | recall | f1 | case_accuracy.
std::unique_ptr<Metric> make_metric(const std::string& name);

}  // namespace moesaic::metrics
