// WorkMeter: how far a job is that answers requests, as rows of metrics.jsonl. Such a row has no
// step of its own: it has a number, counted from 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.h"
#include "observe/jsonl_sink.h"

namespace moesaic {

class WorkMeter {
 public:
  struct Options {
    std::string path;    // of the rows; "" = none are written
    double every_s = 1;  // of work from one row to the next; rates are of the last one or two
  };

  /// A file that cannot be written is warned of on stderr, once: the job goes on without rows.
  explicit WorkMeter(Options options);
  /// Writes a last row, with the means of the whole job.
  ~WorkMeter();
  WorkMeter(const WorkMeter&) = delete;
  WorkMeter& operator=(const WorkMeter&) = delete;

  /// Work begins, after a wait for input or for a model: the time until now is not counted.
  void begin() { work_.lap(); }
  /// Tokens that were read and scored, or made.
  void add_tokens(std::int64_t count);
  /// Requests that are done, and the seconds that each has taken.
  void add_items(std::int64_t count, double seconds);
  /// Work ends for now: what was done is told, however short it was.
  void end();

 private:
  struct Work {
    std::int64_t items = 0, tokens = 0;
    double seconds = 0;  // of work
    double latency = 0;  // seconds that the items took, summed
  };

  void count_time();
  void write(const Work& since);

  Options options_;
  std::optional<JsonlSink> sink_;
  std::int64_t rows_ = 0;
  Work job_, second_, before_;  // until now; until the last whole second; until that before it
  double told_s_ = 0;           // of work, at the last row
  Stopwatch work_;
};

}  // namespace moesaic
