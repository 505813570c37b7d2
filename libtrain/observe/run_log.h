// RunLog: what the log of a run's chief says of its course: starts, warnings, errors and the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesaic {

struct LogLine {
  std::string time;   // "2026-01-31T12:00:00.123Z"
  std::string level;  // info, warning, error
  std::string text;
};

struct RunLog {
  enum class End {
    kNone,      // none that the log knows of: the run goes on, or was killed
    kFinished,  // it has reached its last step, or eval.patience has ended it
    kStopped,   // by a signal, after saving
    kFailed,    // a rank has said why
  };

  std::int64_t starts = 0;                  // the first and each one after it
  std::vector<std::int64_t> resumed_after;  // steps of the checkpoints they have gone on from
  std::vector<LogLine> lines;               // starts, ends, warnings and errors, the newest last
  End end = End::kNone;
  bool given_up = false;  // the launcher has said that it will not start the run again
};

/// Of a run folder: logs/rank-0.log and what ranks that failed have left. Empty where there is
/// none; of long ones the newest part. Never throws for what the files hold.
RunLog read_run_log(const std::string& run_dir);

/// Of the text of such a log.
RunLog parse_run_log(const std::string& text);

}  // namespace moesaic
