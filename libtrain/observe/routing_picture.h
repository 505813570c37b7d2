// RoutingPicture: routing.png in the run folder, a heat map of what each expert gets over time. One
// panel a layer, from top to bottom, one row an expert, time from left to right. White: the expert
// gets its even share; red: up to eight times as much; blue: down to an eighth; black: nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "observe/metrics.h"

namespace moesaic {

class RoutingPicture : public MetricsSink {
 public:
  struct Options {
    std::string path;
    std::string metrics;             // metrics.jsonl whose earlier rows go before; "" = none
    std::size_t most_columns = 600;  // beyond them neighbours are averaged
  };

  /// Of a row: the vector with what each expert of a layer gets.
  static std::string load_name(std::size_t layer);

  explicit RoutingPicture(const Options& options);
  ~RoutingPicture() override;
  void write(const MetricsRow& row) override;

 private:
  using Column = std::vector<std::vector<double>>;  // by layer and expert: share of the choices
  void add(Column column);
  void halve();
  /// Draws what there is. A picture that cannot be written is no reason to stop: nothing is thrown.
  void draw();

  Options options_;
  std::vector<Column> columns_;
  std::vector<double> weights_;  // rows that each column is the mean of
  double rows_per_column_ = 1;
  std::int64_t next_step_ = 0;  // the picture is drawn again from here on
};

}  // namespace moesaic
