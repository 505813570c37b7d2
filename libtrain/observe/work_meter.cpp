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

void WorkMeter::end() {
  if (job_.seconds > at_row_.seconds) write(at_row_);
}

void WorkMeter::count_time() {
  job_.seconds += work_.lap();
  if (job_.seconds - at_row_.seconds >= options_.every_s) write(at_row_);
}

void WorkMeter::write(Work before) {
  at_row_ = job_;
  if (!sink_) return;
  const auto items = static_cast<double>(job_.items - before.items);
  const auto tokens = static_cast<double>(job_.tokens - before.tokens);
  const double seconds = job_.seconds - before.seconds;
  MetricsRow row{.step = ++rows_};
  row.set("items", static_cast<double>(job_.items));
  row.set("tokens", static_cast<double>(job_.tokens));
  row.set("items_per_s", items / seconds);
  row.set("tokens_per_s", tokens / seconds);
  if (items > 0) row.set("latency_s", (job_.latency - before.latency) / items);
  row.set("memory_peak_mb", peak_memory_mb());
  try {
    sink_->write(row);
  } catch (const Error& error) {
    warn_of_no_rows(error);
    sink_.reset();
  }
}

}  // namespace moesaic
