// RoutingPicture: routing.png in the run folder, a heat map of what each expert gets over time. One
// panel a layer, from top to bottom, one row an expert, time from left to right. White: the expert
// gets its even share; red: up to eight times as much; blue: down to an eighth; black: nothing.
#pragma once

#include <cstdint>
#include <string>

#include "observe/load_history.h"
#include "observe/metrics.h"

namespace moesaic {

class RoutingPicture : public MetricsSink {
 public:
  struct Options {
    std::string path;
    std::string metrics;             // metrics.jsonl whose earlier rows go before; "" = none
    std::size_t most_columns = 600;  // beyond them neighbours are averaged
  };

  explicit RoutingPicture(const Options& options);
  ~RoutingPicture() override;
  void write(const MetricsRow& row) override;

 private:
  void add(const MetricsRow& row);
  /// Draws what there is. A picture that cannot be written is no reason to stop: nothing is thrown.
  void draw();

  Options options_;
  LoadHistory loads_;
  std::int64_t next_step_ = 0;  // the picture is drawn again from here on
};

}  // namespace moesaic
