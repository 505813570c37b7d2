// The only file that includes fmt. Header-only, because the torch wheel ships another fmt version.
#pragma once

#ifndef FMT_HEADER_ONLY
#define FMT_HEADER_ONLY
#endif
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moesaic {
using fmt::format;
using fmt::join;
}  // namespace moesaic
