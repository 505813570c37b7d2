#include "observe/svg_loads.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "observe/report_data.h"
#include "observe/svg_text.h"

namespace moesaic {
namespace {

constexpr double kLoadsWidth = 920, kLoadsLeft = 66, kLoadsTop = 30;
constexpr double kLoadsInner = kLoadsWidth - kLoadsLeft - 12;

class SvgLoads {
 public:
  SvgLoads(const std::string& title, const Json& loads, const SvgTheme& theme)
      : title_(title),
        theme_(theme),
        layers_(loads.at("layers").get<std::size_t>()),
        experts_(loads.at("experts").get<std::size_t>()),
        last_(loads.at("last").get<std::int64_t>()),
        row_(std::clamp(std::floor(96 / static_cast<double>(experts_)), 1.0, 12.0)) {
    for (const Json& column : loads.at("cells")) columns_.push_back(column.get<std::string>());
  }

  std::string draw() const {
    const double panel = row_ * static_cast<double>(experts_) + 6;
    const double bottom = kLoadsTop + panel * static_cast<double>(layers_);
    SvgText svg(kLoadsWidth, bottom + 34, title_, theme_.paper);
    svg.add("text", {{"x", "12"}, {"y", "20"}, {"font-size", "14"}, {"fill", theme_.ink}}, title_);
    for (std::size_t layer = 0; layer < layers_; ++layer)
      draw_layer(svg, layer, kLoadsTop + panel * static_cast<double>(layer));
    draw_legend(svg, bottom + 8);
    return svg.text();
  }

 private:
  // Cells of one color are one path, in units of a column and an expert.
  void draw_layer(SvgText& svg, std::size_t layer, double top) const {
    std::map<char, std::string> paths;
    for (std::size_t expert = 0; expert < experts_; ++expert) add_row(layer, expert, paths);
    for (const auto& [level, path] : paths)
      svg.add("path",
              {{"d", path},
               {"fill", color_of(level)},
               {"shape-rendering", "crispEdges"},
               {"transform", format("translate({} {:.1f}) scale({:.6g} {:.6g})", kLoadsLeft, top,
                                    kLoadsInner / static_cast<double>(columns_.size()), row_)}});
    const double middle = top + row_ * static_cast<double>(experts_) / 2;
    svg.add("text",
            {{"x", SvgText::number(kLoadsLeft - 6)},
             {"y", SvgText::number(middle + 4)},
             {"text-anchor", "end"},
             {"fill", theme_.faint}},
            format("layer {}", layer));
  }

  // Neighbours of one color become one box.
  void add_row(std::size_t layer, std::size_t expert, std::map<char, std::string>& paths) const {
    const std::size_t cell = layer * experts_ + expert;
    for (std::size_t begin = 0, end; begin < columns_.size(); begin = end) {
      const char level = columns_[begin][cell];
      for (end = begin + 1; end < columns_.size() && columns_[end][cell] == level;) ++end;
      paths[level] += format("M{} {}h{}v1h-{}z", begin, expert, end - begin, end - begin);
    }
  }

  std::string color_of(char level) const {
    const double power = power_of_level(level);
    if (!std::isfinite(power)) return text_of(theme_.nothing);
    const SvgTheme::Rgb& end = power > 0 ? theme_.above : theme_.below;
    SvgTheme::Rgb color{};
    for (std::size_t i = 0; i < color.size(); ++i)
      color[i] = theme_.even[i] + std::abs(power) / kMostLoadPower * (end[i] - theme_.even[i]);
    return text_of(color);
  }

  static std::string text_of(const SvgTheme::Rgb& color) {
    return format("#{:02x}{:02x}{:02x}", std::lround(color[0]), std::lround(color[1]),
                  std::lround(color[2]));
  }

  void draw_legend(SvgText& svg, double top) const {
    double x = kLoadsLeft;
    for (const auto& [share, words] : std::vector<std::pair<double, std::string>>{
             {0, "nothing"}, {0.125, "an eighth"}, {1, "its even share"}, {8, "eight times"}}) {
      svg.add("rect", {{"x", SvgText::number(x)},
                       {"y", SvgText::number(top)},
                       {"width", "12"},
                       {"height", "12"},
                       {"fill", color_of(level_of_load(share))},
                       {"stroke", theme_.faint}});
      svg.add("text",
              {{"x", SvgText::number(x + 18)},
               {"y", SvgText::number(top + 10)},
               {"fill", theme_.faint}},
              words);
      x += 130;
    }
    svg.add("text",
            {{"x", SvgText::number(kLoadsWidth - 12)},
             {"y", SvgText::number(top + 10)},
             {"text-anchor", "end"},
             {"fill", theme_.faint}},
            format("steps 0 to {}", last_));
  }

  std::string title_;
  const SvgTheme& theme_;
  std::size_t layers_, experts_;
  std::int64_t last_;  // step
  double row_;         // pixels of an expert
  std::vector<std::string> columns_;
};

}  // namespace

std::string svg_loads(const std::string& title, const Json& loads, const SvgTheme& theme) {
  return SvgLoads(title, loads, theme).draw();
}

}  // namespace moesaic
