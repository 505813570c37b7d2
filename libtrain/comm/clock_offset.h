// The monotonic clocks of the ranks of a group, brought together: machines start theirs at
// different moments.
#pragma once

#include <cstdint>
#include <functional>

#include "comm/communicator.h"
#include "core/clock.h"

namespace moesaic {

struct ClockOffset {
  std::int64_t ns = 0;        // what this rank's clock reads more than the chief's
  std::int64_t error_ns = 0;  // it is off by at most this
};

/// Collective over group.
ClockOffset clock_offset(const Communicator& group,
                         const std::function<std::int64_t()>& clock = monotonic_ns);

}  // namespace moesaic
