// The Chrome trace event format (JSON object form), which Perfetto and chrome://tracing open: one
// process a rank. Spans are complete events ("X") on the thread "work"; collectives are
// asynchronous events ("b", "e"), which get tracks of their own.
//
// A file is trace_head(), the ranks' to_trace_events() joined by ",\n", trace_tail().
#pragma once

#include <cstdint>
#include <string>

#include "core/json.h"
#include "observe/tracer.h"

namespace moesaic {

struct TraceProcess {
  int rank = 0;
  std::string host;
  std::int64_t origin_ns = 0;  // what this rank's monotonic_ns() reads at time 0 of the picture
};

/// The events of a stopped tracer, with the names of process and thread. Never empty.
std::string to_trace_events(const Tracer& tracer, const TraceProcess& process);

std::string trace_head();
/// `about`: what a reader may want to know about the whole file.
std::string trace_tail(const Json& about);

}  // namespace moesaic
