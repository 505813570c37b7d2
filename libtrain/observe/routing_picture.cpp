#include "observe/routing_picture.h"

#include <algorithm>
#include <cmath>

#include "core/path.h"
#include "observe/metrics_reader.h"
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

std::size_t pixels_of_expert(std::size_t experts) {
  return std::clamp<std::size_t>(96 / experts, 1, 12);
}

// Of a layer, from its first expert to the next layer.
std::size_t panel_of(std::size_t experts) { return experts * pixels_of_expert(experts) + kGap; }

// How wide a picture of these layers may be.
std::size_t widest(const LoadHistory& loads) {
  return std::max<std::size_t>(1, kMostPixels / (loads.layers() * panel_of(loads.experts())));
}

}  // namespace

RoutingPicture::RoutingPicture(const Options& options) : options_(options) {
  if (options.metrics.empty() || !is_file(options.metrics)) return;
  MetricsReader(options.metrics).read([] {}, [this](const MetricsRow& row) { add(row); });
}

RoutingPicture::~RoutingPicture() { draw(); }

void RoutingPicture::write(const MetricsRow& row) {
  add(row);
  if (row.step < next_step_) return;
  next_step_ = row.step + row.step / 4 + 1;  // ever less often
  draw();
}

void RoutingPicture::add(const MetricsRow& row) {
  loads_.add(LoadHistory::column_of(row));
  if (!loads_.empty()) loads_.keep(std::min(options_.most_columns, widest(loads_)));
}

void RoutingPicture::draw() {
  if (loads_.empty()) return;
  const std::size_t layers = loads_.layers(), experts = loads_.experts();
  const std::size_t wide =
      std::min((kWide + loads_.size() - 1) / loads_.size(), widest(loads_) / loads_.size());
  const std::size_t high = pixels_of_expert(experts), panel = panel_of(experts);
  Picture picture(loads_.size() * wide, layers * panel - kGap, kGray);
  for (std::size_t c = 0; c < loads_.size(); ++c) {
    for (std::size_t l = 0; l < layers; ++l) {
      for (std::size_t e = 0; e < experts; ++e)
        picture.fill(c * wide, l * panel + e * high, wide, high,
                     color_of(loads_.column(c)[l][e], experts));
    }
  }
  picture.write(options_.path);
}

}  // namespace moesaic
