#include "monitor/row_families.h"

#include <string_view>

#include "core/format.h"
#include "monitor/row_metric.h"

namespace moesaic {
namespace {

constexpr std::string_view kExpertLoad = "expert_load.";  // then the layer

void add_value(const std::string& key, double value, MetricFamilies& families) {
  const RowMetric metric = row_metric(key);
  MetricFamilies::Labels labels;
  if (!metric.label.empty()) labels.emplace_back(metric.label, metric.value);
  families.gauge(metric.name, metric.help, value * metric.unit, labels);
}

void add_expert_load(const std::string& layer, const std::vector<double>& shares,
                     MetricFamilies& families) {
  for (std::size_t expert = 0; expert < shares.size(); ++expert) {
    families.gauge("moesaic_expert_load_ratio",
                   "What an expert gets, over its even share of the choices.",
                   shares[expert] * static_cast<double>(shares.size()),
                   {{"layer", layer}, {"expert", format("{}", expert)}});
  }
}

void add_list(const std::string& key, const std::vector<double>& values, MetricFamilies& families) {
  if (key.starts_with(kExpertLoad))
    return add_expert_load(key.substr(kExpertLoad.size()), values, families);
  const RowMetric metric = list_metric(key);
  for (std::size_t i = 0; i < values.size(); ++i)
    families.gauge(metric.name, metric.help, values[i] * metric.unit,
                   {{metric.label, format("{}{}", metric.value, i)}});
}

void add_counts(const RunRows::Counts& counts, MetricFamilies& families) {
  const auto count = [&](const char* name, const char* help, std::int64_t value) {
    families.counter(name, help, static_cast<double>(value));
  };
  count("moesaic_rows_total", "Rows of metrics.jsonl.", counts.rows);
  count("moesaic_skipped_steps_total", "Steps without an update: not finite.",
        counts.skipped_steps);
  count("moesaic_loss_spikes_total", "Steps whose loss was far above that of steps before.",
        counts.loss_spikes);
  count("moesaic_nonfinite_rows_total", "Rows with a value that is not finite.",
        counts.nonfinite_rows);
}

}  // namespace

void add_rows(const RunRows& rows, MetricFamilies& families) {
  add_counts(rows.counts(), families);
  if (rows.values().empty()) return;
  families.gauge("moesaic_step", "Finished optimizer steps; rounds of a federation.",
                 static_cast<double>(rows.step()));
  for (const auto& [key, value] : rows.values()) {
    if (key == "skipped" || key == "loss_spikes") continue;  // are counted
    if (key != "straggler_rank") {
      add_value(key, value, families);
    } else if (value >= 0) {
      families.gauge("moesaic_straggler", "1: this rank holds the others up.", 1,
                     {{"instance", format("rank-{}", value)}});
    }
  }
  std::size_t room = kMostListSeries;
  for (const auto& [key, values] : rows.vectors()) {
    if (values.size() > room) continue;
    room -= values.size();
    add_list(key, values, families);
  }
}

}  // namespace moesaic
