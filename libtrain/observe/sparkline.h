// Curves and bars of block characters (UTF-8, one column each), for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "observe/thinned_curve.h"

namespace moesaic {

/// The curve as `height` lines of `width` characters, the top one first, from its lowest value (an
/// eighth of a character) to its highest. A column is the mean of its points; one without a point
/// repeats the column before. Spaces where there is no curve.
std::vector<std::string> sparkline(const std::vector<CurvePoint>& points, std::size_t width,
                                   std::size_t height);

/// One character for each value, from 0 to `full` and more; at most `width`, else neighbours share
/// one, which shows their mean.
std::string bars(const std::vector<double>& values, double full, std::size_t width);

}  // namespace moesaic
