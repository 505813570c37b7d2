// LoadHistory: which share of the choices each expert of each layer has had over time, as columns
// of bounded number. Beyond it neighbours become their mean.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "observe/metrics.h"

namespace moesaic {

/// Of a row: the vector with what each expert of a layer gets.
std::string load_name(std::size_t layer);

class LoadHistory {
 public:
  using Column = std::vector<std::vector<double>>;  // by layer and expert: share of the choices

  /// What a row says; empty where it says nothing.
  static Column column_of(const MetricsRow& row);

  /// An empty column is left out, and so is one of other layers or experts than the first column's,
  /// or whose layers differ.
  void add(Column column);
  /// Neighbours become one until there are at most `most` columns, or one.
  void keep(std::size_t most);

  bool empty() const { return columns_.empty(); }
  std::size_t size() const { return columns_.size(); }
  std::size_t layers() const { return columns_[0].size(); }
  std::size_t experts() const { return columns_[0][0].size(); }
  const Column& column(std::size_t i) const { return columns_[i]; }

 private:
  void halve();

  std::vector<Column> columns_;
  std::vector<double> weights_;  // rows that each column is the mean of
  double rows_per_column_ = 1;
};

}  // namespace moesaic
