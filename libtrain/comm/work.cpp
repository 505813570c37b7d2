#include "comm/work.h"

#include "comm/trace_span.h"
#include "core/clock.h"

namespace moesaic {

void Work::wait() {
  if (!state_) return;
  const Span span(span_name::kWait, label_);
  const Stopwatch watch;
  state_->wait();
  *waited_ += watch.seconds();
  state_.reset();
}

}  // namespace moesaic
