// MetricsReader: the rows of a metrics.jsonl, also of one that grows, is cut back, ends in the
// middle of a row or was written by another version. It holds one row at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "observe/metrics.h"

namespace moesaic {

/// The row that a line holds: its numbers and lists of numbers, null as NaN; members of other kinds
/// are left out. Nothing for a line that is no JSON object with a whole number `step`.
std::optional<MetricsRow> metrics_row(std::string_view line);

class MetricsReader {
 public:
  struct Found {
    std::int64_t rows = 0;
    std::int64_t damaged = 0;        // lines that are no row
    std::int64_t first_damaged = 0;  // the number of the first of them, from 1
    std::int64_t disordered = 0;     // rows whose step is not above that of the row before
    bool torn = false;               // the last line has no end yet
  };

  explicit MetricsReader(std::string path) : path_(std::move(path)) {}

  /// Hands `take` each whole row that has come since the last call, in ascending order of steps.
  /// Where the file is another one than then, or shorter, `begin` is called and the rows come from
  /// its first on. Error(kData) when it cannot be read.
  void read(const std::function<void()>& begin, const std::function<void(const MetricsRow&)>& take);

  /// Of all calls since the last `begin`.
  const Found& found() const { return found_; }
  /// What of it a reader should know, a sentence each: "12 lines are no rows of metrics ...".
  std::vector<std::string> remarks() const;

 private:
  void start_anew();
  void take_lines(std::string_view bytes, const std::function<void(const MetricsRow&)>& take);
  void take_line(std::string_view line, const std::function<void(const MetricsRow&)>& take);

  std::string path_;
  std::uint64_t inode_ = 0;
  std::uint64_t offset_ = 0;  // bytes that were read
  std::string rest_;          // of them: after the last end of a line
  bool overlong_ = false;     // that line is longer than any row, and its beginning is gone
  std::int64_t lines_ = 0;
  std::int64_t last_step_ = -1;
  Found found_;
};

}  // namespace moesaic
