// TensorBoard event files: a scalar for each value of a row, a histogram for each vector.
#pragma once

#include <cstdint>
#include <string>

#include "observe/append_file.h"
#include "observe/metrics.h"

namespace moesaic {

class TensorBoardSink : public MetricsSink {
 public:
  struct Options {
    std::string folder;            // made when it is not there
    std::int64_t resume_step = 0;  // points of earlier files after this step are dropped
  };

  /// Opens a new file; TensorBoard reads the files of a folder in the order of their names, as one
  /// run. Error(kCheckpoint) when the folder cannot be written.
  explicit TensorBoardSink(const Options& options);

  void write(const MetricsRow& row) override;

 private:
  AppendFile file_;
};

}  // namespace moesaic
