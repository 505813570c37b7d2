#include "observe/task_picture.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/format.h"
#include "observe/picture.h"

namespace moesaic {
namespace {

constexpr std::size_t kSpace = 12;  // pixels between parts
constexpr std::size_t kCellHeight = 34;
constexpr std::size_t kLeastCellWidth = 96;
constexpr std::size_t kLongestLabel = 18;  // characters
constexpr std::size_t kMostDrawnTasks = 100;
constexpr std::size_t kFrame = 2;
constexpr Color kPaper = {255, 255, 255}, kInk = {20, 20, 20}, kNoValue = {200, 200, 200};
constexpr Color kBest = {8, 64, 129};

std::string label_of(const std::string& name) {
  return name.size() <= kLongestLabel ? name : format("{:.{}}..", name, kLongestLabel - 2);
}

/// The values that are white and darkest.
std::pair<double, double> scale_of(const TaskMatrix& matrix) {
  if (matrix.metric == "accuracy") return {0.0, 1.0};
  double least = 0, most = 0;
  bool any = false;
  for (const auto& row : matrix.rows) {
    for (const double value : row) {
      if (!std::isfinite(value)) continue;
      least = any ? std::min(least, value) : value;
      most = any ? std::max(most, value) : value;
      any = true;
    }
  }
  return {most, least};
}

/// From 0, white, to 1.
double shade_of(double value, const std::pair<double, double>& scale) {
  if (scale.first == scale.second) return 0;
  return std::clamp((value - scale.first) / (scale.second - scale.first), 0.0, 1.0);
}

Color color_of_shade(double shade) {
  Color color = kPaper;
  for (std::size_t i = 0; i < color.size(); ++i) {
    const double white = kPaper[i], dark = kBest[i];
    color[i] = static_cast<std::uint8_t>(std::lround(white + shade * (dark - white)));
  }
  return color;
}

class TaskPicture {
 public:
  explicit TaskPicture(const TaskMatrix& matrix)
      : matrix_(matrix),
        scale_(scale_of(matrix)),
        first_(widest_label() + 2 * kSpace),
        cell_(std::max(kLeastCellWidth, widest_label() + kSpace)),
        picture_(first_ + matrix.tasks.size() * cell_ + kSpace,
                 3 * kSpace + Picture::text_height() + matrix.rows.size() * kCellHeight, kPaper) {}

  bool draw(const std::string& path) {
    picture_.text(kSpace, kSpace, matrix_.metric, kInk);
    for (std::size_t j = 0; j < matrix_.tasks.size(); ++j)
      centered(column(j), kSpace, label_of(matrix_.tasks[j]), kInk);
    for (std::size_t i = 0; i < matrix_.rows.size(); ++i) {
      const std::string name = i == 0 ? "before" : label_of(matrix_.tasks[i - 1]);
      picture_.text(kSpace, row(i) + (kCellHeight - Picture::text_height()) / 2, name, kInk);
      for (std::size_t j = 0; j < matrix_.tasks.size(); ++j) cell(i, j);
    }
    return picture_.write(path);
  }

 private:
  std::size_t widest_label() const {
    std::size_t widest = Picture::text_width("accuracy");
    for (const std::string& name : matrix_.tasks)
      widest = std::max(widest, Picture::text_width(label_of(name)));
    return widest;
  }
  std::size_t column(std::size_t j) const { return first_ + j * cell_; }
  std::size_t row(std::size_t i) const {
    return 2 * kSpace + Picture::text_height() + i * kCellHeight;
  }

  void centered(std::size_t x, std::size_t y, const std::string& text, const Color& color) {
    picture_.text(x + (cell_ - std::min(cell_, Picture::text_width(text))) / 2, y, text, color);
  }

  void cell(std::size_t i, std::size_t j) {
    const double value = matrix_.rows[i][j];
    const double shade = shade_of(value, scale_);
    const Color color = std::isfinite(value) ? color_of_shade(shade) : kNoValue;
    const bool just_learned = i == j + 1;
    picture_.fill(column(j), row(i), cell_, kCellHeight, just_learned ? kInk : kPaper);
    picture_.fill(column(j) + kFrame, row(i) + kFrame, cell_ - 2 * kFrame, kCellHeight - 2 * kFrame,
                  color);
    centered(column(j), row(i) + (kCellHeight - Picture::text_height()) / 2,
             std::isfinite(value) ? format("{:.3f}", value) : "-", shade > 0.5 ? kPaper : kInk);
  }

  const TaskMatrix& matrix_;
  std::pair<double, double> scale_;
  std::size_t first_, cell_;
  Picture picture_;
};

}  // namespace

bool draw_tasks(const TaskMatrix& matrix, const std::string& path) {
  if (matrix.tasks.empty() || matrix.tasks.size() > kMostDrawnTasks) return false;
  return TaskPicture(matrix).draw(path);
}

}  // namespace moesaic
