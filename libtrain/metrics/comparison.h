// Comparison: what changed between two measurements, such as before and after fine-tuning.
#pragma once

#include <string>

#include "core/json.h"
#include "metrics/bootstrap.h"

namespace moesaic::metrics {

/// Of two results of `moesaic eval --json`: {"rows": [{"name", "task", "metric", "before", "after",
/// "change"}]}, where before and after are {"value", "low", "high"} (null: no interval), change is
/// the difference of the values and `name` tells several results apart. Error(kData) when they are
/// not of the same task and of as many items.
Json compare_results(const Json& before, const Json& after, const std::string& name = "");

/// Of two measurements of the same data. Each row also has "change_low" and "change_high", the
/// bootstrap interval of the change: item by item, each set drawn for both. They are null where the
/// items are not as many (texts that two tokenizers cut into other sequences), a measure is known
/// of all items together alone, or `draws` has no samples.
Json compare_measurements(const Measurement& before, const Measurement& after,
                          const BootstrapOptions& draws, const std::string& name = "");

/// Of two files of results, or of two folders that hold `NAME.json` each for the same names.
/// Error(kData) for what cannot be read or compared, or is there on one side alone.
Json compare_paths(const std::string& before, const std::string& after);

/// The rows as a table in Markdown, of six digits.
std::string comparison_markdown(const Json& comparison);

}  // namespace moesaic::metrics
