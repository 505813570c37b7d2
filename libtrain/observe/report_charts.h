// Which curves of runs a report draws in which chart. Its page and its SVG files draw the same.
//
//   [{"section", "title", "log": whether the axis is logarithmic,
//     "series": [{"label", "run", "curve": positions, "color": a number, "dash": of a stroke,
//                 "marked": whether restarts and resumes of the run are marked here}]}]
#pragma once

#include "core/json.h"

namespace moesaic {

/// Of "runs" as report_data() makes them. Values that have no chart of their own are in the section
/// kOtherValues, each by itself; a chart without a point is left out.
Json report_charts(const Json& runs);

inline constexpr const char* kOtherValues = "Other values";

}  // namespace moesaic
