#include "observe/routing_picture.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/error.h"
#include "core/json.h"
#include "observe/picture.h"

namespace moesaic {
namespace {

constexpr double kMost = 3;         // powers of two at the ends of the scale
constexpr std::size_t kGap = 4;     // pixels between layers
constexpr std::size_t kWide = 900;  // pixels that a picture is to have at least
constexpr std::size_t kMostPixels = 16'000'000;
constexpr Color kGray = {128, 128, 128};

Color color_of(double share, std::size_t experts) {
  if (share <= 0) return {0, 0, 0};
  const double power = std::clamp(std::log2(share * static_cast<double>(experts)), -kMost, kMost);
  const auto fade = static_cast<std::uint8_t>(std::lround(255 * (1 - std::abs(power) / kMost)));
  return power > 0 ? Color{255, fade, fade} : Color{fade, fade, 255};
}

// `into` becomes the mean of both, `weight` and `more_weight` rows each.
void merge(std::vector<std::vector<double>>& into, double weight,
           const std::vector<std::vector<double>>& more, double more_weight) {
  for (std::size_t l = 0; l < into.size(); ++l) {
    for (std::size_t e = 0; e < into[l].size(); ++e)
      into[l][e] += (more[l][e] - into[l][e]) * more_weight / (weight + more_weight);
  }
}

std::size_t pixels_of_expert(std::size_t experts) {
  return std::clamp<std::size_t>(96 / experts, 1, 12);
}

// Of a layer, from its first expert to the next layer.
std::size_t panel_of(std::size_t experts) { return experts * pixels_of_expert(experts) + kGap; }

// How wide a picture of these layers may be.
std::size_t widest(const std::vector<std::vector<double>>& layers) {
  return std::max<std::size_t>(1, kMostPixels / (layers.size() * panel_of(layers[0].size())));
}

}  // namespace

std::string RoutingPicture::load_name(std::size_t layer) { return format("expert_load.{}", layer); }

RoutingPicture::RoutingPicture(const Options& options) : options_(options) {
  std::ifstream earlier(options.metrics);
  for (std::string line; std::getline(earlier, line);) {
    const Json row = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    Column column;
    while (row.is_object() && row.contains(load_name(column.size()))) {
      const Json& load = row[load_name(column.size())];
      column.emplace_back();
      for (const Json& share : load)
        column.back().push_back(share.is_number() ? share.get<double>() : 0.0);
    }
    add(std::move(column));
  }
}

RoutingPicture::~RoutingPicture() { draw(); }

void RoutingPicture::write(const MetricsRow& row) {
  Column column;
  for (const auto& [name, values] : row.vectors) {
    if (name == load_name(column.size())) column.push_back(values);
  }
  add(std::move(column));
  if (row.step < next_step_) return;
  next_step_ = row.step + row.step / 4 + 1;  // ever less often
  draw();
}

void RoutingPicture::add(Column column) {
  if (column.empty()) return;
  if (!columns_.empty() &&
      (columns_[0].size() != column.size() || columns_[0][0].size() != column[0].size()))
    return;
  if (columns_.empty() || weights_.back() >= rows_per_column_) {
    columns_.push_back(std::move(column));
    weights_.push_back(1);
  } else {
    merge(columns_.back(), weights_.back(), column, 1);
    weights_.back() += 1;
  }
  while (columns_.size() > 1 &&
         columns_.size() > std::min(options_.most_columns, widest(columns_[0])))
    halve();
}

void RoutingPicture::halve() {
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

void RoutingPicture::draw() {
  if (columns_.empty()) return;
  const std::size_t layers = columns_[0].size(), experts = columns_[0][0].size();
  const std::size_t wide = std::min((kWide + columns_.size() - 1) / columns_.size(),
                                    widest(columns_[0]) / columns_.size());
  const std::size_t high = pixels_of_expert(experts), panel = panel_of(experts);
  Picture picture(columns_.size() * wide, layers * panel - kGap, kGray);
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    for (std::size_t l = 0; l < layers; ++l) {
      for (std::size_t e = 0; e < experts; ++e)
        picture.fill(c * wide, l * panel + e * high, wide, high,
                     color_of(columns_[c][l][e], experts));
    }
  }
  picture.write(options_.path);
}

}  // namespace moesaic
