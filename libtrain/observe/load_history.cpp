#include "observe/load_history.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"

namespace moesaic {
namespace {

// `into` becomes the mean of both, `weight` and `more_weight` rows each.
void merge(LoadHistory::Column& into, double weight, const LoadHistory::Column& more,
           double more_weight) {
  for (std::size_t l = 0; l < into.size(); ++l) {
    for (std::size_t e = 0; e < into[l].size(); ++e)
      into[l][e] += (more[l][e] - into[l][e]) * more_weight / (weight + more_weight);
  }
}

bool has_shape(const LoadHistory::Column& column, std::size_t layers, std::size_t experts) {
  return column.size() == layers &&
         std::all_of(column.begin(), column.end(),
                     [experts](const auto& shares) { return shares.size() == experts; });
}

}  // namespace

std::string load_name(std::size_t layer) { return format("expert_load.{}", layer); }

LoadHistory::Column LoadHistory::column_of(const MetricsRow& row) {
  Column column;
  for (const auto& [name, values] : row.vectors) {
    if (name != load_name(column.size()) || values.empty()) continue;
    column.push_back(values);
    for (double& share : column.back()) share = std::isfinite(share) ? share : 0;
  }
  return column;
}

void LoadHistory::add(Column column) {
  if (column.empty()) return;
  const Column& first = columns_.empty() ? column : columns_[0];
  if (!has_shape(column, first.size(), first[0].size())) return;
  if (columns_.empty() || weights_.back() >= rows_per_column_) {
    columns_.push_back(std::move(column));
    weights_.push_back(1);
  } else {
    merge(columns_.back(), weights_.back(), column, 1);
    weights_.back() += 1;
  }
}

void LoadHistory::keep(std::size_t most) {
  while (columns_.size() > std::max<std::size_t>(1, most)) halve();
}

void LoadHistory::halve() {
  const std::size_t kept = (columns_.size() + 1) / 2;
  for (std::size_t i = 0; i < kept; ++i) {
    Column column = std::move(columns_[2 * i]);
    double weight = weights_[2 * i];
    if (2 * i + 1 < columns_.size()) {
      merge(column, weight, columns_[2 * i + 1], weights_[2 * i + 1]);
      weight += weights_[2 * i + 1];
    }
    columns_[i] = std::move(column);
    weights_[i] = weight;
  }
  columns_.resize(kept);
  weights_.resize(kept);
  rows_per_column_ *= 2;
}

}  // namespace moesaic
