// The metrics of a run's rows.
#pragma once

#include <cstddef>

#include "monitor/metric_families.h"
#include "monitor/run_rows.h"

namespace moesaic {

/// Most elements of lists (experts, layers) that become series: a list that does not fit is left
/// out whole.
inline constexpr std::size_t kMostListSeries = 4096;

void add_rows(const RunRows& rows, MetricFamilies& families);

}  // namespace moesaic
