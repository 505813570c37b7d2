// RunMonitor: a run as Prometheus sees it, from the process that is the parent of its ranks.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "monitor/run_facts.h"

namespace moesaic {

class MetricsEndpoint;
class MetricsTextfile;
class RunCollector;

class RunMonitor {
 public:
  /// `where`: over HTTP at that port, 0 = any that is free, or into the file at that path.
  /// Error(kUsage) when the port cannot be used.
  RunMonitor(RunFacts facts, const std::variant<int, std::string>& where);
  ~RunMonitor();
  RunMonitor(const RunMonitor&) = delete;
  RunMonitor& operator=(const RunMonitor&) = delete;

  /// Where the metrics are: an address or a path.
  const std::string& place() const { return place_; }

  /// The job has ended.
  void finished(int exit_code);

 private:
  std::string place_;
  std::shared_ptr<RunCollector> run_;
  std::unique_ptr<MetricsEndpoint> endpoint_;  // one of these two
  std::unique_ptr<MetricsTextfile> textfile_;
};

}  // namespace moesaic
