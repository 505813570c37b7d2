#include "observe/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "observe/svg_axis.h"
#include "observe/svg_text.h"
#include "observe/thinned_curve.h"

namespace moesaic {
namespace {

constexpr double kChartWidth = 720, kChartHeight = 320;
constexpr double kLeftEdge = 66, kRightEdge = kChartWidth - 12;
constexpr double kTitleHeight = 30, kLegendLine = 16, kFootHeight = 26;
constexpr std::size_t kPointsAsDots = 30;  // a curve of so few has a dot at each

struct Series {
  std::string label, color, dash;
  std::vector<CurvePoint> points;  // that can be drawn
  std::int64_t lost = 0, first_lost = 0;
  const Json* marks = nullptr;  // the run whose marks are drawn
};

std::string step_text(double step) { return format("{:.0f}", step); }

class SvgChart {
 public:
  SvgChart(const Json& chart, const Json& runs, const SvgTheme& theme)
      : title_(chart.at("title").get<std::string>()),
        log_(chart.at("log").get<bool>()),
        theme_(theme) {
    for (const Json& one : chart.at("series"))
      series_.push_back(series_of(one, runs.at(one.at("run").get<std::size_t>())));
    if (series_.size() > 1) legend_ = kLegendLine * static_cast<double>(series_.size());
    set_axes();
  }

  std::string draw() {
    SvgText svg(kChartWidth, kChartHeight + legend_, title_ + " over the steps", theme_.paper);
    svg.add("text", {{"x", "12"}, {"y", "20"}, {"font-size", "14"}, {"fill", theme_.ink}}, title_);
    draw_axes(svg);
    for (const Series& series : series_) draw_series(svg, series);
    draw_legend(svg);
    return svg.text();
  }

 private:
  Series series_of(const Json& one, const Json& run) const {
    const Json& curve = run.at("curves").at(one.at("curve").get<std::size_t>());
    Series series{.label = one.at("label").get<std::string>(),
                  .color = theme_.series[one.at("color").get<std::size_t>() % theme_.series.size()],
                  .dash = one.at("dash").get<std::string>(),
                  .lost = curve.at("lost").at(0).get<std::int64_t>(),
                  .first_lost = curve.at("lost").at(1).get<std::int64_t>()};
    if (one.at("marked").get<bool>()) series.marks = &run;
    const Json &steps = curve.at("steps"), &values = curve.at("values");
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const CurvePoint point{steps[i].get<std::int64_t>(), values[i].get<double>()};
      if (!log_ || point.value > 0) series.points.push_back(point);
    }
    return series;
  }

  void set_axes() {
    constexpr double kFar = std::numeric_limits<double>::infinity();
    SvgAxis::Options steps{.low = kFar, .high = -kFar, .from = kLeftEdge, .to = kRightEdge};
    SvgAxis::Options values{.low = kFar,
                            .high = -kFar,
                            .from = kChartHeight - kFootHeight,
                            .to = kTitleHeight,
                            .log = log_};
    for (const Series& series : series_) {
      if (series.lost > 0) include(steps, static_cast<double>(series.first_lost));
      for (const CurvePoint& point : series.points) {
        include(steps, static_cast<double>(point.step));
        include(values, point.value);
      }
    }
    if (steps.low > steps.high) steps.low = 0, steps.high = 1;
    if (values.low > values.high) values.low = log_ ? 0.1 : 0, values.high = 1;
    const double room = log_ ? 0 : 0.04 * (values.high - values.low);
    values.low -= room, values.high += room;
    x_.emplace(steps);
    y_.emplace(values);
  }

  static void include(SvgAxis::Options& range, double value) {
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  }

  void draw_axes(SvgText& svg) const {
    const std::string left = SvgText::number(kLeftEdge), right = SvgText::number(kRightEdge);
    const auto line = [&](double at, const std::string& color) {
      const std::string y = SvgText::number(at);
      svg.add("line", {{"x1", left}, {"x2", right}, {"y1", y}, {"y2", y}, {"stroke", color}});
    };
    for (const double tick : y_->ticks(5)) {
      line(y_->place(tick), theme_.line);
      svg.add("text",
              {{"x", SvgText::number(kLeftEdge - 6)},
               {"y", SvgText::number(y_->place(tick) + 4)},
               {"text-anchor", "end"},
               {"fill", theme_.faint}},
              format("{:.6g}", tick + 0.0));  // no "-0"
    }
    for (const double tick : x_->ticks(6)) {
      if (tick != std::floor(tick)) continue;
      svg.add("text",
              {{"x", SvgText::number(x_->place(tick))},
               {"y", SvgText::number(kChartHeight - 8)},
               {"text-anchor", x_->place(tick) > kRightEdge - 30 ? "end" : "middle"},
               {"fill", theme_.faint}},
              step_text(tick));
    }
    line(y_->options().from, theme_.faint);
  }

  void draw_series(SvgText& svg, const Series& series) const {
    if (series.marks != nullptr) draw_marks(svg, series);
    std::string path;
    for (const CurvePoint& point : series.points)
      path += format("{}{} {}", path.empty() ? 'M' : 'L', at_step(point.step),
                     SvgText::number(y_->place(point.value)));
    if (!path.empty())
      svg.add("path", {{"class", "curve"},
                       {"d", path},
                       {"fill", "none"},
                       {"stroke", series.color},
                       {"stroke-width", "1.6"},
                       {"stroke-linejoin", "round"},
                       {"stroke-dasharray", series.dash.empty() ? "none" : series.dash}});
    if (series.points.size() <= kPointsAsDots) draw_dots(svg, series);
    if (series.lost == 0) return;
    svg.add_titled("text",
                   {{"class", "lost"},
                    {"x", at_step(series.first_lost)},
                    {"y", SvgText::number(kTitleHeight + 8)},
                    {"text-anchor", "middle"},
                    {"fill", series.color}},
                   format("{}: {} values that are not finite, the first at step {}", series.label,
                          series.lost, series.first_lost),
                   "×");
  }

  void draw_dots(SvgText& svg, const Series& series) const {
    for (const CurvePoint& point : series.points)
      svg.add("circle", {{"cx", at_step(point.step)},
                         {"cy", SvgText::number(y_->place(point.value))},
                         {"r", "2.4"},
                         {"fill", series.color}});
  }

  void draw_marks(SvgText& svg, const Series& series) const {
    for (const Json& step : series.marks->at("resumed"))
      draw_mark(svg, step.get<std::int64_t>(), "resumed", series.color, "1 4",
                format("{}: resumed after step {}", series.label, step.get<std::int64_t>()));
    for (const Json& restart : series.marks->at("restarts")) {
      const auto step = restart.at("step").get<std::int64_t>();
      draw_mark(svg, step, "restart", theme_.restart, "4 2",
                format("{}: started again after step {}: {}", series.label, step,
                       restart.at("message").get<std::string>()));
    }
  }

  // Nothing where the step is not among those that are shown.
  void draw_mark(SvgText& svg, std::int64_t step, const std::string& kind, const std::string& color,
                 const std::string& dash, const std::string& title) const {
    const auto value = static_cast<double>(step);
    if (value < x_->options().low || value > x_->options().high) return;
    svg.add_titled("line",
                   {{"class", kind},
                    {"x1", at_step(step)},
                    {"x2", at_step(step)},
                    {"y1", SvgText::number(kTitleHeight)},
                    {"y2", SvgText::number(kChartHeight - kFootHeight)},
                    {"stroke", color},
                    {"stroke-dasharray", dash}},
                   title);
  }

  void draw_legend(SvgText& svg) const {
    if (legend_ == 0) return;
    double y = kChartHeight;
    for (const Series& series : series_) {
      const std::string middle = SvgText::number(y + 6);
      svg.add("line", {{"x1", SvgText::number(kLeftEdge)},
                       {"x2", SvgText::number(kLeftEdge + 22)},
                       {"y1", middle},
                       {"y2", middle},
                       {"stroke", series.color},
                       {"stroke-width", "3"},
                       {"stroke-dasharray", series.dash.empty() ? "none" : series.dash}});
      svg.add("text",
              {{"x", SvgText::number(kLeftEdge + 30)},
               {"y", SvgText::number(y + 10)},
               {"fill", theme_.ink}},
              series.label);
      y += kLegendLine;
    }
  }

  std::string at_step(std::int64_t step) const {
    return SvgText::number(x_->place(static_cast<double>(step)));
  }

  std::string title_;
  bool log_;
  const SvgTheme& theme_;
  std::vector<Series> series_;
  double legend_ = 0;  // its height
  std::optional<SvgAxis> x_, y_;
};

}  // namespace

std::string svg_chart(const Json& chart, const Json& runs, const SvgTheme& theme) {
  return SvgChart(chart, runs, theme).draw();
}

}  // namespace moesaic
