// SpanRecording: from its construction to its end, the spans of this thread (comm/trace_span.h) and
// the nodes of backward go into a Tracer. Nodes of backward are grouped by the layer whose forward
// made them.
#pragma once

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <memory>

#include "observe/tracer.h"

namespace moesaic {

class SpanRecording {
 public:
  /// Keeps `tracer` until the last span that it saw the beginning of has ended.
  explicit SpanRecording(std::shared_ptr<Tracer> tracer);
  ~SpanRecording();
  SpanRecording(const SpanRecording&) = delete;
  SpanRecording& operator=(const SpanRecording&) = delete;

 private:
  c10::DebugInfoGuard state_;  // where the hook's plain functions find the tracer
  at::CallbackHandle hook_;
};

}  // namespace moesaic
