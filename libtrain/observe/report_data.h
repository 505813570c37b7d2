// What a report shows, as JSON: the page's script and svg_pictures() draw it.
//
//   {"version",
//    "runs": [{"name", "folder", "state", "step", "last_step", "rows", "starts", "resumed",
//     "restarts": [{"time", "kind", "step", "rank", "host", "message", "checkpoint"}],
//     "remarks", "recipe", "curves": [{"name", "steps", "values", "lost": [count, first step]}],
//     "loads": {"last", "layers", "experts", "columns", "cells"} | null, "tasks": {..} | null,
//     "log": [{"time", "level", "text"}]}],
//    "charts": as report_charts() makes them,
//    "differences": [{"key", "values": [text | null of each run]}]}
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "observe/run_view.h"

namespace moesaic {

/// A recipe key whose value is not the same in all runs; "" = the run does not have it.
struct RecipeDifference {
  std::string key;
  std::vector<std::string> values;  // of each run
};

struct ReportLimits {
  std::size_t points = 200'000;          // of all curves; each keeps its extremes
  std::size_t least_points = 64;         // of one curve
  std::size_t load_cells = 2'000'000;    // of all heat maps
  std::size_t recipe_bytes = 2'000'000;  // of all recipes
  std::size_t tasks = 100;               // of a matrix that is shown
};

Json report_data(const std::vector<RunView>& runs, const std::vector<RecipeDifference>& differences,
                 const ReportLimits& limits = {});

/// A column of loads as text, a character for each expert of each layer: '0' for nothing, the
/// others from an eighth of the even share ('1') by its double, in steps of a tenth of a power of
/// two, to eight times as much ('z').
std::string load_cells(const LoadHistory::Column& column);

/// The character of a load that is `times` the even share; and the power of two that a character
/// stands for, which is -infinity for '0'.
char level_of_load(double times);
double power_of_level(char level);

inline constexpr double kMostLoadPower = 3;  // at the ends of the scale

}  // namespace moesaic
