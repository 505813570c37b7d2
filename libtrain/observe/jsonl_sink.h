// metrics.jsonl: one JSON object a row, {"step": n, values ..., vectors ...}. Numbers are the
// shortest text that reads back as the same double, so equal runs make equal files; JSON has no NaN
// or infinity, they are null.
#pragma once

#include <cstdint>
#include <string>

#include "observe/append_file.h"
#include "observe/metrics.h"

namespace moesaic {

class JsonlSink : public MetricsSink {
 public:
  struct Options {
    std::string path;
    /// Rows after this step are cut off: they are about to be written again. 0 = an empty file.
    std::int64_t resume_step = 0;
  };

  /// Error(kCheckpoint) when the file cannot be written, or when what is to be kept is damaged.
  explicit JsonlSink(const Options& options);

  void write(const MetricsRow& row) override;
  /// Cuts those rows off.
  void rewind(std::int64_t step) override;

 private:
  std::string path_;
  AppendFile file_;
};

/// The row as a line of metrics.jsonl, with its newline.
std::string to_json_line(const MetricsRow& row);

}  // namespace moesaic
