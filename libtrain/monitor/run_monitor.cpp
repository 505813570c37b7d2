#include "monitor/run_monitor.h"

#include "core/format.h"
#include "monitor/metrics_endpoint.h"
#include "monitor/metrics_textfile.h"
#include "monitor/run_collector.h"

namespace moesaic {

RunMonitor::RunMonitor(RunFacts facts, const std::variant<int, std::string>& where)
    : run_(std::make_shared<RunCollector>(facts)) {
  if (const auto* path = std::get_if<std::string>(&where)) {
    place_ = *path;
    textfile_ = std::make_unique<MetricsTextfile>(MetricsTextfile::Options{.path = place_}, run_);
    return;
  }
  endpoint_ = std::make_unique<MetricsEndpoint>(std::get<int>(where), run_);
  place_ = format("http://{}:{}/metrics", facts.host, endpoint_->port());
}

RunMonitor::~RunMonitor() = default;

void RunMonitor::finished(int exit_code) { run_->finished(exit_code); }

}  // namespace moesaic
