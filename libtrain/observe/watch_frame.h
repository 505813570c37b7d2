// What `moesaic watch` shows of a run, as lines of text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "observe/run_view.h"

namespace moesaic {

struct WatchOptions {
  std::size_t columns = 80;  // of a line, at most
  std::size_t rows = 24;     // lines, at most
  bool color = false;        // ANSI colors
  std::string footer;        // the last line, "" = none
};

/// Never more lines than `rows`, none wider than `columns`. `quiet_s`: seconds since the metrics
/// have grown, where that is known. What comes from the run is printable ASCII in it.
std::vector<std::string> watch_frame(const RunView& run, std::optional<double> quiet_s,
                                     const WatchOptions& options);

}  // namespace moesaic
