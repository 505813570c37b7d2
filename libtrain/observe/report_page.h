// The report as one HTML file that asks no network for anything. Names, recipes and logs in it are
// of others: they are data to the page, never HTML, and only the page's own script may run.
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// `data` as report_data() makes it. The same data make the same bytes.
std::string report_page(const Json& data);

/// JSON text that may stand inside a script element: no '<' is in it.
std::string json_for_script(const Json& data);

}  // namespace moesaic
