// The rows of a use of a parameter by the example that they are of.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/gradient_sink.h"

namespace moesaic {

struct ExampleRows {
  /// All rows of one example, one after the other.
  struct Run {
    std::int64_t example = 0;
    std::int64_t first = 0;
    std::int64_t count = 0;
  };
  ParameterUse use;       // its rows in the order of their examples
  std::vector<Run> runs;  // examples ascend
};

/// Of a use that is not of groups. Local; the host waits for a device.
ExampleRows by_example(const ParameterUse& use);

/// Rows [first, first + count), or those numbered by `row_S`: a part of the use.
ParameterUse rows_of(const ParameterUse& use, std::int64_t first, std::int64_t count);
ParameterUse rows_of(const ParameterUse& use, const at::Tensor& row_S);

/// With rows of its own, which stay after the call that handed them over.
ParameterUse copy_of(const ParameterUse& use);

/// Of a use of groups: what group `group` is to its own matrix.
ParameterUse use_of_group(const ParameterUse& use, std::int64_t group);

}  // namespace moesaic
