// The names of metrics for Prometheus: what a value of metrics.jsonl is called there. Base units
// (seconds, bytes), no suffix that is kept for counters and histograms
// (https://prometheus.io/docs/practices/naming).
#pragma once

#include <string>

namespace moesaic {

struct RowMetric {
  std::string name;  // "moesaic_step_seconds"
  std::string help;
  double unit = 1;           // of the row's values in those of the metric
  std::string label, value;  // such as term="balance"; "" = none
};

/// Of a value: "step_s" is moesaic_step_seconds, "loss_balance" is moesaic_loss_term with the label
/// term, "silo_a_loss" is moesaic_silo_loss with the label region. Names that nobody knows are kept
/// as far as they may be.
RowMetric row_metric(const std::string& key);

/// Of a list, whose elements have the label `label`, `value` and their number: "rank_wait_s" by
/// instance="rank-0", "layer_max_violation" by layer="0".
RowMetric list_metric(const std::string& key);

}  // namespace moesaic
