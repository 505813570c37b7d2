#include "monitor/metrics_endpoint.h"

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "monitor/no_signals.h"

namespace moesaic {
namespace {

// A connection on which nobody asks, such as a browser opens ahead, keeps a thread: there are
// several, and not for half a minute, the library's default.
std::vector<std::string> server_options(int port) {
  return {"listening_ports",    format("0.0.0.0:{}", port),
          "num_threads",        "8",
          "request_timeout_ms", "2000"};
}

}  // namespace

MetricsEndpoint::MetricsEndpoint(int port, std::shared_ptr<prometheus::Collectable> metrics)
    : metrics_(std::move(metrics)) {
  const NoSignals quiet;
  try {
    exposer_.emplace(server_options(port));
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
