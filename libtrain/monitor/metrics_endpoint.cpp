#include "monitor/metrics_endpoint.h"

#include <exception>
#include <utility>
#include <vector>

#include "core/error.h"
#include "monitor/no_signals.h"

namespace moesaic {

MetricsEndpoint::MetricsEndpoint(int port, std::shared_ptr<prometheus::Collectable> metrics)
    : metrics_(std::move(metrics)) {
  const NoSignals quiet;
  try {
    exposer_.emplace(format("0.0.0.0:{}", port));
  } catch (const std::exception&) {  // it does not say why
    throw Error(ErrorKind::kUsage,
                format("metrics for Prometheus: cannot listen on port {}: another process has it, "
                       "or this user may not use it",
                       port),
                "choose another port above 1023, or 0 for any that is free");
  }
  exposer_->RegisterCollectable(metrics_);
}

int MetricsEndpoint::port() const {
  const std::vector<int> ports = exposer_->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace moesaic
