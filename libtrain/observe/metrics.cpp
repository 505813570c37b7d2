#include "observe/metrics.h"

#include <algorithm>

namespace moesaic {

const double* MetricsRow::find(const std::string& name) const {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&name](const auto& value) { return value.first == name; });
  return found == values.end() ? nullptr : &found->second;
}

}  // namespace moesaic
