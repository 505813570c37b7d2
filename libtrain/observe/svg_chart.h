// A chart of a report as an SVG file: curves over the steps.
#pragma once

#include <string>

#include "core/json.h"
#include "observe/svg_theme.h"

namespace moesaic {

/// Of a chart as report_charts() makes it, and the runs that it is of.
std::string svg_chart(const Json& chart, const Json& runs, const SvgTheme& theme);

}  // namespace moesaic
