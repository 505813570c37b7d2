// The loads of a run's experts over time as an SVG file: a panel a layer, a row an expert.
#pragma once

#include <string>

#include "core/json.h"
#include "observe/svg_theme.h"

namespace moesaic {

/// Of "loads" of a run as report_data() makes them.
std::string svg_loads(const std::string& title, const Json& loads, const SvgTheme& theme);

}  // namespace moesaic
