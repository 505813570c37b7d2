#include "observe/work_meter.h"

#include <cstdio>
#include <utility>

#include "core/error.h"
#include "core/memory.h"

namespace moesaic {
namespace {

void warn_of_no_rows(const Error& error) {
  std::fputs(format("warning: metrics: {}; the job goes on without\n", error.what()).c_str(),
             stderr);
}

}  // namespace

WorkMeter::WorkMeter(Options options) : options_(std::move(options)) {
  if (options_.path.empty()) return;
  try {
    sink_.emplace(JsonlSink::Options{.path = options_.path});
  } catch (const Error& error) {
    warn_of_no_rows(error);
  }
}

WorkMeter::~WorkMeter() {
  if (job_.seconds > 0) write({});
}

void WorkMeter::add_tokens(std::int64_t count) {
  job_.tokens += count;
  count_time();
}

void WorkMeter::add_items(std::int64_t count, double seconds) {
  job_.items += count;
  job_.latency += static_cast<double>(count) * seconds;
  count_time();
}

// A moment after a row there is nothing to take a rate of: it begins a second earlier.
void WorkMeter::end() {
  if (job_.seconds > told_s_) write(before_);
}

void WorkMeter::count_time() {
  job_.seconds += work_.lap();
  if (job_.seconds - second_.seconds < options_.every_s) return;
  write(second_);
  before_ = std::exchange(second_, job_);
}

void WorkMeter::write(const Work& since) {
  told_s_ = job_.seconds;
  if (!sink_) return;
  const auto items = static_cast<double>(job_.items - since.items);
  const auto tokens = static_cast<double>(job_.tokens - since.tokens);
  const double seconds = job_.seconds - since.seconds;
  MetricsRow row{.step = ++rows_};
  row.set("items", static_cast<double>(job_.items));
  row.set("tokens", static_cast<double>(job_.tokens));
  row.set("items_per_s", items / seconds);
  row.set("tokens_per_s", tokens / seconds);
  if (items > 0) row.set("latency_s", (job_.latency - since.latency) / items);
  row.set("memory_peak_mb", peak_memory_mb());
  try {
    sink_->write(row);
  } catch (const Error& error) {
    warn_of_no_rows(error);
    sink_.reset();
  }
}

}  // namespace moesaic
