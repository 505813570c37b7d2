// Progress on stdout: on a terminal one live line that is drawn over, otherwise a line of fixed
// columns for each row. Rows with a validation loss stay on a terminal too. When it cannot be
// written any more, the run goes on without.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "core/clock.h"
#include "core/log.h"
#include "observe/metrics.h"
#include "observe/progress.h"

namespace moesaic {

class ConsoleSink : public MetricsSink {
 public:
  struct Options {
    std::int64_t max_steps = 0;  // 0 = not known: no remaining time
    bool terminal = false;  // what is at the end of `out` is the caller's knowledge: under mpirun
                            // a rank's stdout is a pipe also when its user has a terminal
    int columns = 80;       // width of the terminal; the live line is cut to it
    bool color = false;     // on a terminal
    std::FILE* out = stdout;
    Log log;  // hears when progress is no longer shown
  };

  explicit ConsoleSink(const Options& options) : options_(options) {}
  ~ConsoleSink() override { end_line(); }

  void write(const MetricsRow& row) override;

 private:
  std::string remaining(const MetricsRow& row);
  void draw(const std::string& text, bool stays, const char* color);
  void end_line();
  void put(const std::string& text);

  Options options_;
  Stopwatch clock_;
  Progress progress_;
  bool open_ = false;  // a live line without its newline is on the terminal
  bool lost_ = false;  // `out` has failed: its reader is gone, or its disk is full
};

/// "step   10/200  loss 5.5432  lr 3.00e-04  tokens/s   12345  left 0:12  valid 4.3210"
std::string to_console_line(const MetricsRow& row, std::int64_t max_steps,
                            const std::string& remaining);

}  // namespace moesaic
