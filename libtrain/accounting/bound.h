// An upper bound on epsilon or delta.
#pragma once

#include <optional>

namespace moesaic::accounting {

struct Bound {
  double value = 0;             // infinite where nothing can be promised
  std::optional<double> order;  // of Renyi divergence, where that is how it was found
  bool at_edge = false;         // the order is the first or the last: others might do better
};

}  // namespace moesaic::accounting
