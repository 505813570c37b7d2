// RestartLog: after which failures the launcher has started a run again, by restarts.jsonl of its
// folder (docs/reliability.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesaic {

struct Restart {
  std::string time;        // "2026-01-31T12:00:00.123Z"
  std::string kind;        // crash, hang
  std::int64_t step = 0;   // the last that a rank was in
  std::int64_t rank = -1;  // who failed, -1 = not known
  std::string host;        // of that rank
  std::string message;     // why
  std::string checkpoint;  // that was the newest, "" = there was none
};

struct RestartLog {
  std::vector<Restart> restarts;     // the newest last; of very many the newest
  std::vector<std::string> remarks;  // what was left out, a sentence each
};

/// Empty where the run has not been started again. Error(kData) when the file cannot be read.
RestartLog read_restarts(const std::string& run_dir);

}  // namespace moesaic
