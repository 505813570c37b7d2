// The spans of all ranks in one file (observe/trace_json.h), on one time axis.
#pragma once

#include <cstdint>
#include <string>

#include "core/json.h"
#include "observe/tracer.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Collective over world; `tracer` is stopped. The chief writes, one rank's events in memory at a
/// time. `begin_ns`: when this rank's recording began, on its own clock. Returns why there is no
/// file, on the chief; "" otherwise: a profile is not worth a run.
std::string write_trace(const RankContext& context, const Tracer& tracer, std::int64_t begin_ns,
                        const std::string& path, Json about);

}  // namespace moesaic
