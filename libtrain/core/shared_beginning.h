// shared_beginning(): how far two texts, or sequences of ids, are the same.
#pragma once

#include <algorithm>
#include <cstddef>

namespace moesaic {

/// Elements that both begin with.
template <class Range>
std::size_t shared_beginning(const Range& a, const Range& b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                                  a.begin());
}

}  // namespace moesaic
