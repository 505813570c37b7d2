// MetricsTextfile: metrics as a file that is written anew every few seconds, for the textfile
// collector of the node exporter. Readers see the old or the new content.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "monitor/run_collector.h"

namespace moesaic {

class MetricsTextfile {
 public:
  struct Options {
    std::string path;
    double every_s = 5;
  };

  /// Written by a thread of its own, from the run's first row on: before, the run folder may be
  /// that of another job. A file that cannot be written is warned of once on stderr, and tried
  /// again.
  MetricsTextfile(Options options, std::shared_ptr<const RunCollector> run);
  /// Writes a last time.
  ~MetricsTextfile();
  MetricsTextfile(const MetricsTextfile&) = delete;
  MetricsTextfile& operator=(const MetricsTextfile&) = delete;

 private:
  void write();
  void write_until(const std::stop_token& stop);

  Options options_;
  std::shared_ptr<const RunCollector> run_;
  bool warned_ = false;
  std::mutex mutex_;
  std::condition_variable_any wakes_;
  std::jthread thread_;  // the last member: it uses the others
};

}  // namespace moesaic
