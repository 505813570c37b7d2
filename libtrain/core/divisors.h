// Sizes of a group that divide two numbers, as messages list them.
#pragma once

#include <cstdint>
#include <vector>

namespace moesaic {

/// The positive numbers that divide both, ascending; 0 is divided by all.
std::vector<std::int64_t> common_divisors(std::int64_t a, std::int64_t b);

}  // namespace moesaic
