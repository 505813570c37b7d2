// MetricsEndpoint: metrics over HTTP, at /metrics of a port of this machine, by threads of its own.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <memory>
#include <optional>

namespace moesaic {

class MetricsEndpoint {
 public:
  /// On all addresses of this machine (IPv4). Port 0 = any that is free. Error(kUsage) when nobody
  /// can be listened to there.
  MetricsEndpoint(int port, std::shared_ptr<prometheus::Collectable> metrics);

  int port() const;

 private:
  std::shared_ptr<prometheus::Collectable> metrics_;
  std::optional<prometheus::Exposer> exposer_;
};

}  // namespace moesaic
