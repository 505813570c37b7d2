// RunCollector: everything about a run, read anew each time that Prometheus asks: rows and states
// of the ranks from the run folder, processes from the system. Nothing is asked of the ranks
// themselves.
#pragma once

#include <prometheus/collectable.h>

#include <mutex>
#include <optional>
#include <vector>

#include "monitor/file_change.h"
#include "monitor/metric_families.h"
#include "monitor/run_facts.h"
#include "monitor/run_rows.h"
#include "observe/metrics_reader.h"

namespace moesaic {

class RunCollector : public prometheus::Collectable {
 public:
  explicit RunCollector(RunFacts facts);

  /// From any thread. What cannot be read is left out; nothing is thrown.
  std::vector<prometheus::MetricFamily> Collect() const override;

  /// The run has written rows: its folder is its own, and no longer that of an earlier job.
  bool has_begun() const { return facts_.owns_folder || rows_file_.has_changed(); }

  /// The job has ended, with this exit code.
  void finished(int exit_code);

 private:
  void read_rows() const;
  std::int64_t restarts() const;
  void add_job(MetricFamilies& families) const;
  void add_ranks(MetricFamilies& families) const;
  void add_folder(MetricFamilies& families) const;

  RunFacts facts_;
  double started_;  // seconds since 1970
  mutable std::mutex mutex_;
  FileChange rows_file_;
  FileChange restarts_file_;
  mutable MetricsReader reader_;
  mutable RunRows rows_;
  mutable bool has_read_ = false;
  mutable double last_row_time_ = 0;  // 0 = none has come
  std::optional<int> exit_code_;
};

}  // namespace moesaic
