// The only file that includes fmt. Its library is linked, not compiled into each source: that would double the build time.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moesaic {
using fmt::format;
using fmt::join;
}  // namespace moesaic
