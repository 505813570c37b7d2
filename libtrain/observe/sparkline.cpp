#include "observe/sparkline.h"

#include <algorithm>
#include <cmath>

namespace moesaic {
namespace {

constexpr const char* kBlocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr int kEighths = 8;

// The mean of the points of each column, NaN before the first.
std::vector<double> column_means(const std::vector<CurvePoint>& points, std::size_t width) {
  std::vector<double> sums(width, 0), counts(width, 0);
  const std::int64_t first = points.front().step;
  const auto span = static_cast<double>(points.back().step - first + 1);
  for (const CurvePoint& point : points) {
    const double share = static_cast<double>(point.step - first) / span;
    const auto column =
        std::min(width - 1, static_cast<std::size_t>(share * static_cast<double>(width)));
    sums[column] += point.value;
    counts[column] += 1;
  }
  for (std::size_t i = 0; i < width; ++i)
    sums[i] = counts[i] > 0 ? sums[i] / counts[i] : i > 0 ? sums[i - 1] : points.front().value;
  return sums;
}

}  // namespace

std::vector<std::string> sparkline(const std::vector<CurvePoint>& points, std::size_t width,
                                   std::size_t height) {
  std::vector<std::string> lines(height);
  if (points.empty() || width == 0 || height == 0) {
    for (std::string& line : lines) line.assign(width, ' ');
    return lines;
  }
  const std::vector<double> columns = column_means(points, width);
  const auto [low, high] = std::minmax_element(columns.begin(), columns.end());
  const auto steps = static_cast<double>(kEighths * static_cast<int>(height) - 1);
  for (const double value : columns) {
    const double share = *high > *low ? (value - *low) / (*high - *low) : 0;
    const int level = 1 + static_cast<int>(std::lround(share * steps));
    for (std::size_t line = 0; line < height; ++line) {
      const int below = kEighths * static_cast<int>(height - 1 - line);
      lines[line] += kBlocks[std::clamp(level - below, 0, kEighths)];
    }
  }
  return lines;
}

std::string bars(const std::vector<double>& values, double full, std::size_t width) {
  if (values.empty() || width == 0) return "";
  const std::size_t each = (values.size() + width - 1) / width;
  std::string text;
  for (std::size_t begin = 0; begin < values.size(); begin += each) {
    const std::size_t end = std::min(values.size(), begin + each);
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += values[i];
    const double share = sum / static_cast<double>(end - begin) / full;
    const int level = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * kEighths));
    text += kBlocks[share > 0 ? std::max(1, level) : 0];
  }
  return text;
}

}  // namespace moesaic
