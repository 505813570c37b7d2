// Progress on stdout: on a terminal one live line that is drawn over, otherwise a line of fixed
// columns for each row. Rows with a validation loss stay on a terminal too.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "core/clock.h"
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
  };

  explicit ConsoleSink(const Options& options) : options_(options) {}
  ~ConsoleSink() override { end_line(); }

  void write(const MetricsRow& row) override;

 private:
  std::string remaining(const MetricsRow& row);
  void draw(const std::string& text, bool stays, const char* color);
  void end_line();

  Options options_;
  Stopwatch clock_;
  Progress progress_;
  bool open_ = false;  // a live line without its newline is on the terminal
};

/// "step   10/200  loss 5.5432  lr 3.00e-04  tokens/s   12345  left 0:12  valid 4.3210"
std::string to_console_line(const MetricsRow& row, std::int64_t max_steps,
                            const std::string& remaining);

}  // namespace moesaic
