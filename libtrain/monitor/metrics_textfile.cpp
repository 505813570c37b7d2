#include "monitor/metrics_textfile.h"

#include <prometheus/text_serializer.h>

#include <chrono>
#include <cstdio>
#include <utility>

#include "core/error.h"
#include "core/fs.h"
#include "monitor/no_signals.h"

namespace moesaic {

MetricsTextfile::MetricsTextfile(Options options, std::shared_ptr<const RunCollector> run)
    : options_(std::move(options)), run_(std::move(run)) {
  const NoSignals quiet;
  thread_ = std::jthread([this](const std::stop_token& stop) { write_until(stop); });
}

MetricsTextfile::~MetricsTextfile() {
  thread_.request_stop();
  thread_.join();
  write();
}

void MetricsTextfile::write_until(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const std::chrono::duration<double> pause(options_.every_s);
  while (!stop.stop_requested()) {
    write();
    wakes_.wait_for(lock, stop, pause, [] { return false; });
  }
}

void MetricsTextfile::write() {
  if (!run_->has_begun()) return;
  const std::string text = prometheus::TextSerializer().Serialize(run_->Collect());
  try {
    write_file_atomic(options_.path, text);
    warned_ = false;
  } catch (const Error& error) {
    if (!std::exchange(warned_, true))
      std::fputs(
          format("warning: metrics for Prometheus: {}; the run goes on\n", error.what()).c_str(),
          stderr);
  }
}

}  // namespace moesaic
